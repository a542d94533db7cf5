package control

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// Configuration is what the services need to show and change the configuration.
// An empty yaml is the daemon's configuration file, read anew.
type Configuration interface {
	// Config returns the configuration as it is now.
	Config(ctx context.Context) (Config, error)
	// CheckConfig returns what is wrong with a configuration.
	CheckConfig(ctx context.Context, yaml string) (problems []string, err error)
	// PlanConfig returns what ApplyConfig would do, or a ConfigError.
	PlanConfig(ctx context.Context, yaml string) (Changes, error)
	// ApplyConfig makes a configuration hold.
	ApplyConfig(ctx context.Context, yaml string) (Changes, error)
	// SaveConfig writes the daemon's configuration file and returns the names of it
	// and of what it was before.
	SaveConfig(ctx context.Context) (file, backup string, err error)
}

// Config is the configuration as it is now.
type Config struct {
	YAML    string
	File    string    // "" for none
	Applied time.Time // when one was applied last; zero before
	Err     string    // what went wrong then
}

// Changes are those of a plan.
type Changes struct {
	Steps   []Change
	Restart []string // keys that take a restart
}

// Change is one step.
type Change struct{ Action, Object, Detail string }

// ConfigError says that a configuration is wrong.
type ConfigError struct{ Problems []string }

func (e *ConfigError) Error() string {
	if len(e.Problems) == 1 {
		return "the configuration is wrong: " + e.Problems[0]
	}
	text := "the configuration is wrong:"
	for _, p := range e.Problems {
		text += "\n" + p
	}
	return text
}

// LogLevels are the levels that a log can have.
var LogLevels = []string{"debug", "info", "warn", "error"}

type configService struct {
	pb.UnimplementedConfigServiceServer
	plane Plane
}

func (s *configService) GetConfig(ctx context.Context, _ *pb.GetConfigRequest) (*pb.GetConfigResponse, error) {
	c, err := s.plane.Config(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.GetConfigResponse{Yaml: text(c.YAML), File: text(c.File), Applied: timestamp(c.Applied), Error: text(c.Err)}, nil
}

func (s *configService) CheckConfig(ctx context.Context, req *pb.CheckConfigRequest) (*pb.CheckConfigResponse, error) {
	found, err := s.plane.CheckConfig(ctx, req.GetYaml())
	if err != nil {
		return nil, err
	}
	return &pb.CheckConfigResponse{Problems: convert(found, text)}, nil
}

func (s *configService) PlanConfig(ctx context.Context, req *pb.PlanConfigRequest) (*pb.PlanConfigResponse, error) {
	c, err := s.plane.PlanConfig(ctx, req.GetYaml())
	if err != nil {
		return nil, configStatus(err)
	}
	return &pb.PlanConfigResponse{Changes: changesToProto(c)}, nil
}

func (s *configService) ApplyConfig(ctx context.Context, req *pb.ApplyConfigRequest) (*pb.ApplyConfigResponse, error) {
	c, err := s.plane.ApplyConfig(ctx, req.GetYaml())
	if err != nil {
		return nil, configStatus(err)
	}
	return &pb.ApplyConfigResponse{Changes: changesToProto(c)}, nil
}

func (s *configService) SaveConfig(ctx context.Context, _ *pb.SaveConfigRequest) (*pb.SaveConfigResponse, error) {
	file, backup, err := s.plane.SaveConfig(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.SaveConfigResponse{File: text(file), Backup: text(backup)}, nil
}

// configStatus makes what is wrong with a configuration a status of its own.
func configStatus(err error) error {
	wrong, ok := err.(*ConfigError) //nolint:errorlint // it is made by the plane, and wraps nothing
	if !ok {
		return err
	}
	bad := &errdetails.BadRequest{}
	for _, p := range wrong.Problems {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: "yaml", Description: text(p)})
	}
	return newStatus(codes.InvalidArgument, wrong.Error(), bad, errorInfo(unix.EINVAL, nil))
}

func changesToProto(c Changes) *pb.ConfigChanges {
	return &pb.ConfigChanges{
		Steps: convert(c.Steps, func(s Change) *pb.ConfigStep {
			return &pb.ConfigStep{Action: s.Action, Object: text(s.Object), Detail: text(s.Detail)}
		}),
		Restart: c.Restart,
	}
}
