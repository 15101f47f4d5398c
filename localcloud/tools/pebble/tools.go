//go:build tools

// Package tools pins the ACME authority of the local clouds.
package tools

import _ "github.com/letsencrypt/pebble/v2/cmd/pebble"
