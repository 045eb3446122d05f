package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Class names of config providers.
const (
	fileProvider       = "org.apache.kafka.common.config.provider.FileConfigProvider"
	directoryProvider  = "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
	envProvider        = "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
	providerProperty   = "org.apache.kafka.automatic.config.providers"
	maxProviderFileLen = 1 << 20
)

// variablePattern is ${provider:key} or ${provider:path:key}.
var variablePattern = regexp.MustCompile(`\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}`)

// provider looks a key up behind a path; errNotFound leaves the variable as it is.
type provider func(path, key string) (string, error)

// resolveProviders replaces variables in all static values.
func (c *Config) resolveProviders(o Options) Problems {
	aliases, ok := c.static["config.providers"]
	if !ok || aliases.Value == "" {
		return nil
	}
	providers := make(map[string]provider)
	for _, alias := range splitCSV(aliases.Value) {
		p, err := c.provider(alias, o)
		if err != nil {
			return Problems{err}
		}
		providers[alias] = p
	}
	var problems Problems
	for _, name := range sortedKeys(c.static) {
		s := c.static[name]
		if strings.HasPrefix(name, "config.providers") {
			continue
		}
		value, err := expand(s.Value, providers)
		if err != nil {
			problems = append(problems, &Problem{Setting: s, Reason: err.Error(), secret: sensitiveName(name)})
			continue
		}
		s.Value = trim(value)
		c.static[name] = s
	}
	return problems
}

// expand replaces each variable once; what comes out is not looked at again.
func expand(value string, providers map[string]provider) (string, error) {
	var failed error
	out := variablePattern.ReplaceAllStringFunc(value, func(variable string) string {
		m := variablePattern.FindStringSubmatch(variable)
		p, ok := providers[m[1]]
		if !ok {
			return variable
		}
		v, err := p(m[3], m[4])
		switch {
		case err == errNotFound:
			return variable
		case err != nil && failed == nil:
			failed = err
		}
		return v
	})
	return out, failed
}

func (c *Config) provider(alias string, o Options) (provider, *Problem) {
	key := "config.providers." + alias + ".class"
	s, ok := c.static[key]
	if !ok {
		return nil, &Problem{Setting: c.static["config.providers"], Reason: "provider " + alias + " has no " + key}
	}
	if allowed, ok := c.jvm[providerProperty]; ok && !contains(splitCSV(allowed), s.Value) {
		return nil, &Problem{Setting: s, Reason: "is not in the JVM property " + providerProperty, Allowed: allowed}
	}
	param := func(name string) string { return c.static["config.providers."+alias+".param."+name].Value }
	paths := splitCSV(param("allowed.paths"))
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			return nil, &Problem{Setting: c.static["config.providers."+alias+".param.allowed.paths"], Reason: p + " is not an absolute path"}
		}
	}
	switch s.Value {
	case fileProvider:
		return fileValues(o, paths), nil
	case directoryProvider:
		return directoryValues(o, paths), nil
	case envProvider:
		pattern := param("allowlist.pattern")
		if pattern == "" {
			pattern = ".*"
		}
		re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
		if err != nil {
			return nil, &Problem{Setting: c.static["config.providers."+alias+".param.allowlist.pattern"], Reason: err.Error()}
		}
		return envValues(o, re), nil
	}
	return nil, &Problem{Setting: s, Reason: "Barnabas does not have this config provider",
		Allowed: strings.Join([]string{fileProvider, directoryProvider, envProvider}, ", ")}
}

// inside says whether a path lies in one of the allowed ones; no list allows all.
func inside(path string, allowed []string) bool {
	if len(allowed) == 0 {
		return true
	}
	path = filepath.Clean(path)
	for _, dir := range allowed {
		if rel, err := filepath.Rel(filepath.Clean(dir), path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return true
		}
	}
	return false
}

func fileValues(o Options, allowed []string) provider {
	files := make(map[string]map[string]string)
	return func(path, key string) (string, error) {
		if path == "" || !inside(path, allowed) {
			return "", errNotFound
		}
		if files[path] == nil {
			data, err := o.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("could not read properties from file %s: %w", path, err)
			}
			props, err := parsePropertiesUTF8(data)
			if err != nil {
				return "", fmt.Errorf("%s: %w", path, err)
			}
			files[path] = make(map[string]string)
			for _, p := range props {
				files[path][p.Name] = p.Value
			}
		}
		v, ok := files[path][key]
		if !ok {
			return "", errNotFound
		}
		return v, nil
	}
}

func directoryValues(o Options, allowed []string) provider {
	return func(path, key string) (string, error) {
		// The key is a file's name, not a path out of the directory.
		if path == "" || key == "" || key != filepath.Base(key) || key == ".." || !inside(path, allowed) {
			return "", errNotFound
		}
		entries, err := o.ReadDir(path)
		if err != nil {
			return "", errNotFound
		}
		for _, e := range entries {
			if e.Name() != key || e.IsDir() {
				continue
			}
			data, err := o.ReadFile(filepath.Join(path, key))
			if err != nil {
				return "", fmt.Errorf("could not read file %s: %w", filepath.Join(path, key), err)
			}
			if len(data) > maxProviderFileLen {
				return "", fmt.Errorf("file %s is larger than 1 MiB", filepath.Join(path, key))
			}
			return string(data), nil
		}
		return "", errNotFound
	}
}

func envValues(o Options, allowed *regexp.Regexp) provider {
	return func(path, key string) (string, error) {
		if path != "" {
			return "", fmt.Errorf("the variable of an environment provider has no path: %s", path)
		}
		v, ok := lookupEnv(o.Environ, key)
		if !ok || !allowed.MatchString(key) {
			return "", errNotFound
		}
		return v, nil
	}
}
