// Command gen writes the types of the API's stubs for Python, which gRPC's own
// generator leaves out, into a folder: one _pb2_grpc.pyi for each file with
// services.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/netmapd/netmapd/api/proto/netmapd/v1" // registers the services
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FOLDER")
		os.Exit(2)
	}
	var err error
	protoregistry.GlobalFiles.RangeFilesByPackage("netmapd.v1", func(f protoreflect.FileDescriptor) bool {
		if f.Services().Len() > 0 {
			err = os.WriteFile(filepath.Join(os.Args[1], module(f)+"_grpc.pyi"), []byte(stubs(f)), 0o644) //nolint:gosec // for everybody to read
		}
		return err == nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// module is the name of the Python module with the messages of a file.
func module(f protoreflect.FileDescriptor) string {
	return strings.TrimSuffix(filepath.Base(f.Path()), ".proto") + "_pb2"
}

// stubs are the types of the stubs of one file.
func stubs(f protoreflect.FileDescriptor) string {
	var text strings.Builder
	var modules []string
	// message is how Python calls a message.
	message := func(m protoreflect.MessageDescriptor) string {
		in := module(m.ParentFile())
		if !slices.Contains(modules, in) {
			modules = append(modules, in)
		}
		return in + "." + string(m.Name())
	}
	for i := range f.Services().Len() {
		s := f.Services().Get(i)
		fmt.Fprintf(&text, "\nclass %sStub:\n    def __init__(self, channel: grpc.Channel) -> None: ...\n", s.Name())
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			request, response := message(m.Input()), message(m.Output())
			if m.IsStreamingClient() {
				request = "Iterator[" + request + "]"
			}
			if m.IsStreamingServer() {
				response = "Iterator[" + response + "]"
			}
			fmt.Fprintf(&text, "    def %s(self, request: %s, timeout: Optional[float] = ...) -> %s: ...\n", m.Name(), request, response)
		}
	}
	slices.Sort(modules)
	head := "# Made by make generate.\nfrom typing import Iterator, Optional\n\nimport grpc\n\n"
	for _, name := range modules {
		head += "from netmapd.v1 import " + name + "\n"
	}
	return head + text.String()
}
