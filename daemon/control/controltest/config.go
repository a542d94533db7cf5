package controltest

import (
	"context"

	"github.com/netmapd/netmapd/daemon/control"
)

// Config returns State.Config.
func (p *Plane) Config(ctx context.Context) (control.Config, error) {
	if err := p.enter(ctx); err != nil {
		return control.Config{}, err
	}
	defer p.mu.Unlock()
	return p.state.Config, nil
}

// CheckConfig returns State.Wrong.
func (p *Plane) CheckConfig(ctx context.Context, _ string) ([]string, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.mu.Unlock()
	return p.state.Wrong, nil
}

// PlanConfig returns State.Changes, or State.Wrong.
func (p *Plane) PlanConfig(ctx context.Context, _ string) (control.Changes, error) {
	if err := p.enter(ctx); err != nil {
		return control.Changes{}, err
	}
	defer p.mu.Unlock()
	if len(p.state.Wrong) > 0 {
		return control.Changes{}, &control.ConfigError{Problems: p.state.Wrong}
	}
	return p.state.Changes, nil
}

// ApplyConfig sets the text of State.Config.
func (p *Plane) ApplyConfig(ctx context.Context, yaml string) (control.Changes, error) {
	c, err := p.PlanConfig(ctx, yaml)
	if err == nil {
		p.Set(func(s *State) { s.Config.YAML, s.Config.Applied = yaml, Epoch })
	}
	return c, err
}

// SaveConfig makes names up.
func (p *Plane) SaveConfig(ctx context.Context) (file, backup string, err error) {
	if err := p.enter(ctx); err != nil {
		return "", "", err
	}
	defer p.mu.Unlock()
	return p.state.Config.File, p.state.Config.File + ".bak", nil
}

// SetLogLevel changes State.Info.
func (p *Plane) SetLogLevel(level string) { p.Set(func(s *State) { s.Info.LogLevel = level }) }
