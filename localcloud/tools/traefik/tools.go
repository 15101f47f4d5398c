//go:build tools

// Package tools pins the program that leads requests into a cluster.
package tools

import _ "github.com/traefik/traefik/v3/cmd/traefik"
