package broker_test

import (
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func levelsOf(w *wire, names ...string) map[string]string {
	w.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.SetVersion(4)
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName, res.ConfigNames = kmsg.ConfigResourceTypeBrokerLogger, "1", names
	req.Resources = append(req.Resources, res)
	resp := w.call(req).(*kmsg.DescribeConfigsResponse)
	levels := map[string]string{}
	for _, c := range resp.Resources[0].Configs {
		if c.Source != kmsg.ConfigSourceDynamicBrokerLoggerConfig || c.Value == nil || c.ReadOnly || c.IsSensitive {
			w.t.Errorf("%+v", c)
			continue
		}
		levels[c.Name] = *c.Value
	}
	return levels
}

func TestLevelsOfLoggersAreSetAndShown(t *testing.T) {
	w := dial(t, brokertest.Start(t))
	if got := levelsOf(w); got["root"] != "INFO" || got["log"] != "INFO" || got["broker"] != "INFO" || len(got) < 6 {
		t.Fatalf("%v", got)
	}
	debug, lower := "DEBUG", "debug"
	type change struct {
		name  string
		op    kmsg.IncrementalAlterConfigOp
		value *string
	}
	for _, tt := range []struct {
		name     string
		resource string
		validate bool
		changes  []change
		want     protocol.ErrorCode
		message  string
	}{
		{"set", "1", false, []change{{"log", 0, &debug}}, 0, ""},
		{"only validated", "1", true, []change{{"root", 0, &debug}}, 0, ""},
		{"unknown logger", "1", false, []change{{"root", 0, &debug}, {"kafka.x", 0, &debug}}, protocol.ErrInvalidConfig, "Logger kafka.x does not exist!"},
		{"unknown level", "1", false, []change{{"log", 0, &lower}}, protocol.ErrInvalidConfig,
			"Cannot set the log level of log to debug as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"},
		{"delete of the root", "1", false, []change{{"root", 1, nil}}, protocol.ErrInvalidRequest, "Removing the log level of the root logger is not allowed"},
		{"append", "1", false, []change{{"log", 2, &debug}}, protocol.ErrInvalidRequest, "APPEND operation is not allowed for the BROKER_LOGGER resource"},
		{"no value", "1", false, []change{{"log", 0, nil}}, protocol.ErrInvalidRequest, "Null value not supported for : log"},
		{"another node", "7", false, nil, protocol.ErrInvalidRequest, "Unexpected node id. Expected 1, but received 7"},
		{"no node", "", false, nil, protocol.ErrInvalidRequest, "Node id must be an integer, but it is: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			req.SetVersion(1)
			req.ValidateOnly = tt.validate
			res := kmsg.NewIncrementalAlterConfigsRequestResource()
			res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeBrokerLogger, tt.resource
			for _, c := range tt.changes {
				out := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
				out.Name, out.Op, out.Value = c.name, c.op, c.value
				res.Configs = append(res.Configs, out)
			}
			req.Resources = append(req.Resources, res)
			got := w.call(req).(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
			message := ""
			if got.ErrorMessage != nil {
				message = *got.ErrorMessage
			}
			if protocol.ErrorCode(got.ErrorCode) != tt.want || message != tt.message {
				t.Errorf("%v %q, want %v %q", protocol.ErrorCode(got.ErrorCode), message, tt.want, tt.message)
			}
		})
	}
	if got := levelsOf(w, "log", "log.cleaner", "root"); got["log"] != "DEBUG" || got["log.cleaner"] != "DEBUG" || got["root"] != "INFO" || len(got) != 3 {
		t.Errorf("%v", got)
	}
}
