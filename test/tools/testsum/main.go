// Command testsum reads what `go test -json` writes, on its standard input, and prints what a person wants to see of it:
// a line per package, the output of what failed, what was skipped and why, and as its last line
//
//	N passed, N failed, N skipped
//
// alone on a line. Lines that are not JSON pass through, so several runs and other commands can share one stream.
// It ends with status 1 when something failed or no test ran at all.
package main

import (
	"fmt"
	"os"
)

func main() {
	ok, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testsum: reading test events: %v\n", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}
