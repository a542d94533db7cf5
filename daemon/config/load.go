package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/netmapd/netmapd/configs"
)

// defaultFile is the embedded file with every default.
const defaultFile = "default.yaml"

// Load reads the configuration: the embedded default, overridden by file (none
// when ""), the environment, and those of flags that were given (flags may be
// nil; see AddFlags). When something is wrong with the configuration the error
// is an [*Error] with all of it.
func Load(file string, flags *pflag.FlagSet) (*Config, error) {
	var data []byte
	if file != "" {
		var err error
		if data, err = os.ReadFile(file); err != nil { //nolint:gosec // the operator says which
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	return LoadData(file, data, flags)
}

// LoadData is Load of a file that was read already; there is none when file is "".
func LoadData(file string, data []byte, flags *pflag.FlagSet) (*Config, error) {
	l, err := newLoader()
	if err != nil {
		return nil, err
	}
	if file != "" {
		if err := l.file(file, data); err != nil {
			return nil, err
		}
	}
	for _, n := range schema.leaves() {
		if err := errors.Join(l.env(n), l.flag(n, flags)); err != nil {
			return nil, err
		}
	}
	return l.config()
}

// Decode reads the configuration in data over the embedded default, with
// neither environment nor flags; file is its name in messages.
func Decode(file string, data []byte) (*Config, error) {
	l, err := newLoader()
	if err != nil {
		return nil, err
	}
	if err := l.file(file, data); err != nil {
		return nil, err
	}
	return l.config()
}

// Default is the embedded default.
func Default() (*Config, error) {
	l, err := newLoader()
	if err != nil {
		return nil, err
	}
	return l.config()
}

// loader stacks the layers in a viper. Each value is checked where it comes in,
// because only there its place is known; viper decides which one holds.
type loader struct {
	viper    *viper.Viper
	problems problems
	origins  origins
}

func newLoader() (*loader, error) {
	l := &loader{viper: viper.New(), origins: make(origins)}
	data, err := configs.Files.ReadFile(defaultFile)
	if err != nil {
		return nil, err
	}
	// Its origins are thrown away: messages call it "the default".
	r := &reader{file: "embedded " + defaultFile, problems: &l.problems, origins: make(origins)}
	for key, value := range r.document(data) {
		l.viper.SetDefault(key, value)
	}
	return l, l.problems.err()
}

func (l *loader) file(name string, data []byte) error {
	r := &reader{file: name, problems: &l.problems, origins: l.origins}
	return l.viper.MergeConfigMap(r.document(data))
}

// env binds the environment variable of a key if it is set to something.
func (l *loader) env(n *node) error {
	value := os.Getenv(n.env())
	if value == "" || !l.accept(n, n.env(), value) {
		return nil
	}
	return l.viper.BindEnv(n.path, n.env())
}

// flag binds the flag of a key if it was given.
func (l *loader) flag(n *node, flags *pflag.FlagSet) error {
	if flags == nil {
		return nil
	}
	f := flags.Lookup(n.flag())
	if f == nil || !f.Changed || !l.accept(n, "--"+n.flag(), f.Value.String()) {
		return nil
	}
	return l.viper.BindPFlag(n.path, f)
}

// accept checks a value that is no part of a file.
func (l *loader) accept(n *node, source, value string) bool {
	where := origin{source: source}
	if n.kind != texts { // any text makes a list
		if _, ok := n.parse(value); !ok {
			l.problems.add(where, n.path, "%s", n.refusal(value, strconv.Quote(value)))
			return false
		}
	}
	// Elements that the file gave to the list are gone.
	maps.DeleteFunc(l.origins, func(key string, _ origin) bool { return parent(key) == n.path })
	l.origins[n.path] = where
	return true
}

// config decodes what holds and checks it.
func (l *loader) config() (*Config, error) {
	c := &Config{origins: l.origins}
	if err := l.viper.UnmarshalExact(c); err != nil && len(l.problems.list) == 0 {
		return nil, fmt.Errorf("decoding the configuration: %w", err)
	}
	c.complete()
	c.check(&l.problems)
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// complete fills in defaults that depend on other keys.
func (c *Config) complete() {
	for i := range c.Ports {
		if p := &c.Ports[i]; p.Kind == KindInterface && p.Ifname == "" {
			p.Ifname = p.Name
		}
	}
}

// AddFlags defines a flag for every key that can have one, named like its path
// with dashes (log.level: --log-level), with the default and the explanation of
// configs/default.yaml.
func AddFlags(flags *pflag.FlagSet) error {
	l, err := newLoader()
	if err != nil {
		return err
	}
	usage, err := explanations()
	if err != nil {
		return err
	}
	for _, n := range schema.leaves() {
		name, help, value := n.flag(), usage[n.path], l.viper.Get(n.path)
		switch n.kind {
		case boolean:
			flags.Bool(name, value == true, help)
		case integer:
			i, _ := value.(int)
			flags.Int(name, i, help)
		case duration:
			d, _ := value.(time.Duration)
			flags.Duration(name, d, help)
		case texts:
			flags.StringSlice(name, l.viper.GetStringSlice(n.path), help)
		default:
			s, _ := value.(string)
			flags.String(name, s, help)
		}
	}
	return nil
}

// explanations are the comments above the keys of the embedded default.
func explanations() (map[string]string, error) {
	data, err := configs.Files.ReadFile(defaultFile)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	found := make(map[string]string)
	collectComments(doc.Content[0], "", found)
	return found, nil
}

func collectComments(y *yaml.Node, at string, found map[string]string) {
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		p := join(at, key.Value)
		words := strings.Fields(strings.ReplaceAll(key.HeadComment, "#", " "))
		found[p] = strings.TrimSuffix(strings.Join(words, " "), ".")
		if value.Kind == yaml.MappingNode {
			collectComments(value, p, found)
		}
	}
}

// UnknownEnv returns the names in environ (as of os.Environ) that begin with
// NETMAPD_ and set no key. They are no error, since others put variables of that
// form there (a Kubernetes service called netmapd does), but worth a warning.
func UnknownEnv(environ []string) []string {
	var unknown []string
	leaves := schema.leaves()
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		known := slices.ContainsFunc(leaves, func(n *node) bool { return n.env() == name })
		if strings.HasPrefix(name, "NETMAPD_") && !known {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}
