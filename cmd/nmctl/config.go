package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newConfigCommand(c *cli) *cobra.Command {
	return noun("config", "Show, check, change and save the configuration",
		configVerb(c, "show", "Show the configuration as it is now, as far as it differs from the default", cobra.NoArgs, "", showConfig),
		configVerb(c, "check", "Say what is wrong with a configuration", cobra.MaximumNArgs(1), configArg, checkConfig),
		configVerb(c, "plan", "Say what applying a configuration would change", cobra.MaximumNArgs(1), configArg, planConfig),
		configVerb(c, "apply", "Make a configuration hold; what fails is undone as a whole", cobra.MaximumNArgs(1), configArg, applyConfig),
		configVerb(c, "save", "Write ports, switches and log level into the daemon's configuration file", cobra.NoArgs, "", saveConfig),
	)
}

const configArg = " [FILE]"

// configVerb makes a command. yaml is the text of its argument: of a file, of
// standard input for "-", and "", which means the daemon's own file, without one.
func configVerb(c *cli, verb, short string, args cobra.PositionalArgs, use string,
	run func(ctx context.Context, config pb.ConfigServiceClient, out *printer, yaml string) error,
) *cobra.Command {
	long := ""
	if use != "" {
		long = short + `.

FILE is read here, "-" is standard input. Without FILE it is the configuration file of the daemon, read anew.`
	}
	return &cobra.Command{
		Use: verb + use, Short: short, Long: long, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			yaml, err := readConfig(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return run(ctx, pb.NewConfigServiceClient(conn), out, yaml)
			})
		},
	}
}

func readConfig(stdin io.Reader, args []string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	var text []byte
	var err error
	if args[0] == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, 1<<20))
	} else {
		text, err = os.ReadFile(args[0])
	}
	if err != nil {
		return "", fmt.Errorf("read the configuration: %w", err)
	}
	return string(text) + "\n", nil // never empty: that would mean another one
}

func showConfig(ctx context.Context, config pb.ConfigServiceClient, out *printer, _ string) error {
	resp, err := config.GetConfig(ctx, &pb.GetConfigRequest{})
	if err != nil {
		return err
	}
	return out.print(configView{YAML: resp.GetYaml(), File: resp.GetFile(), Applied: when(resp.GetApplied()), Error: resp.GetError()})
}

func checkConfig(ctx context.Context, config pb.ConfigServiceClient, out *printer, yaml string) error {
	resp, err := config.CheckConfig(ctx, &pb.CheckConfigRequest{Yaml: yaml})
	if err != nil {
		return err
	}
	problems := resp.GetProblems()
	if err := out.print(configProblems{orEmpty(problems)}); err != nil || len(problems) == 0 {
		return err
	}
	return fmt.Errorf("the configuration has %d problems", len(problems))
}

func planConfig(ctx context.Context, config pb.ConfigServiceClient, out *printer, yaml string) error {
	resp, err := config.PlanConfig(ctx, &pb.PlanConfigRequest{Yaml: yaml})
	if err != nil {
		return err
	}
	return out.print(viewChanges(resp.GetChanges(), "would "))
}

func applyConfig(ctx context.Context, config pb.ConfigServiceClient, out *printer, yaml string) error {
	resp, err := config.ApplyConfig(ctx, &pb.ApplyConfigRequest{Yaml: yaml})
	if err != nil {
		return err
	}
	return out.print(viewChanges(resp.GetChanges(), ""))
}

func saveConfig(ctx context.Context, config pb.ConfigServiceClient, out *printer, _ string) error {
	resp, err := config.SaveConfig(ctx, &pb.SaveConfigRequest{})
	if err != nil {
		return err
	}
	return out.print(configSaved{File: resp.GetFile(), Backup: resp.GetBackup()})
}

// configView is pb.GetConfigResponse to be printed.
type configView struct {
	YAML    string     `json:"yaml"`
	File    string     `json:"file"`
	Applied *time.Time `json:"applied"`
	Error   string     `json:"error"`
}

// table prints a file that says the same.
func (v configView) table(t *table) {
	if v.File != "" {
		t.row("# of " + v.File)
	}
	if v.Error != "" {
		t.row("# the last change, " + whenText(v.Applied) + ", failed: " + v.Error)
	}
	t.text(v.YAML)
}

// configProblems are those of pb.CheckConfigResponse to be printed.
type configProblems struct {
	Problems []string `json:"problems"`
}

func (p configProblems) table(t *table) {
	if len(p.Problems) == 0 {
		t.row("the configuration is fine")
	}
	for _, text := range p.Problems {
		t.row(text)
	}
}

// configChanges is pb.ConfigChanges to be printed.
type configChanges struct {
	Steps   []configStep `json:"steps"`
	Restart []string     `json:"restart"`

	would string
}

type configStep struct {
	Action string `json:"action"`
	Object string `json:"object"`
	Detail string `json:"detail"`
}

func viewChanges(c *pb.ConfigChanges, would string) configChanges {
	return configChanges{
		Steps: views(c.GetSteps(), func(s *pb.ConfigStep) configStep {
			return configStep{s.GetAction(), s.GetObject(), s.GetDetail()}
		}),
		Restart: orEmpty(c.GetRestart()), would: would,
	}
}

func (c configChanges) table(t *table) {
	if len(c.Steps) == 0 {
		t.row("nothing to change")
	}
	for _, s := range c.Steps {
		t.row(c.would+s.Action, s.Object, s.Detail)
	}
	for _, key := range c.Restart {
		t.row("takes a restart of netmapd: " + key)
	}
}

// configSaved is pb.SaveConfigResponse to be printed.
type configSaved struct {
	File   string `json:"file"`
	Backup string `json:"backup"`
}

func (s configSaved) table(t *table) {
	t.row("saved to " + s.File + "; what it was before is " + s.Backup)
}
