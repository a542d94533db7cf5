package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/doctor"
)

func newDoctorCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look at what netmapd needs of this machine, and say how to mend what is missing", Args: positional(),
		Long: "Look at hugepages, IOMMU, VFIO, permissions, NUMA, CPU isolation, the driver of each NIC and the clock source.\n" +
			"A warning costs speed or a feature that is not in use; a problem keeps something in use from working.\n\n" +
			"Exit status: 0 without problems, 1 with one or more.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			user, err := doctor.ThisUser()
			if err != nil {
				return err
			}
			findings, err := doctor.Examine(machine, user)
			if err != nil {
				return err
			}
			if err := c.printer(cmd).print(diagnosis{views(findings, viewFinding)}); err != nil {
				return err
			}
			problems := 0
			for _, f := range findings {
				if f.Level == doctor.Problem {
					problems++
				}
			}
			if problems > 0 {
				return errors.New(plural(problems, "problem"))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// findingView is doctor.Finding to be printed.
type findingView struct {
	Subject string `json:"subject"`
	Level   string `json:"level"`
	Found   string `json:"found"`
	Remedy  string `json:"remedy"`
}

func viewFinding(f doctor.Finding) findingView {
	return findingView{Subject: f.Subject, Level: f.Level.String(), Found: f.Found, Remedy: f.Remedy}
}

// diagnosis is the result of doctor.
type diagnosis struct {
	Findings []findingView `json:"findings"`
}

func (d diagnosis) table(t *table) {
	for _, f := range d.Findings {
		t.row(f.Level, f.Subject, f.Found)
		if f.Remedy != "" {
			t.row("", "", "  "+f.Remedy)
		}
	}
}
