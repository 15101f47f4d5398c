//go:build tools

// Package tools pins the programs that the benchmarks are run with.
package tools

import _ "github.com/Shopify/toxiproxy/v2/cmd/server"
