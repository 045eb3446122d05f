package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func clusterCommand() *command {
	return &command{name: "cluster", summary: "show the cluster, its brokers, log directories, APIs and producers", sub: []*command{
		clusterInfoCommand(), clusterBrokersCommand(), clusterLogDirsCommand(), clusterAPIVersionsCommand(), clusterProducersCommand(),
	}}
}

// featureRange is a cluster feature: the level in force and those a broker supports.
type featureRange struct {
	Name      string `json:"name"`
	Level     int16  `json:"level"`
	Supported string `json:"supported"`
}

func clusterInfoCommand() *command {
	return &command{
		name: "info", summary: "Show the cluster's id, controller, size and features",
		run: func(e *env, _ []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				m, err := a.topics(ctx)
				if err != nil {
					return err
				}
				features, err := a.features(ctx)
				if err != nil {
					return err
				}
				info := struct {
					ClusterID       string         `json:"clusterId"`
					Controller      int32          `json:"controller"`
					Brokers         int            `json:"brokers"`
					Topics          int            `json:"topics"`
					Partitions      int            `json:"partitions"`
					Leaderless      int            `json:"leaderless"`
					UnderReplicated int            `json:"underReplicated"`
					Features        []featureRange `json:"features"`
				}{ClusterID: m.Cluster, Controller: m.Controller, Brokers: len(m.Brokers), Topics: len(m.Topics), Features: features}
				m.Topics.EachPartition(func(p kadm.PartitionDetail) {
					info.Partitions++
					if p.Leader < 0 {
						info.Leaderless++
					}
					if len(p.ISR) < len(p.Replicas) {
						info.UnderReplicated++
					}
				})
				return e.show(info, func(w io.Writer) error {
					fmt.Fprintf(w, "cluster %s  controller %d\n", printable(info.ClusterID), info.Controller)
					_, err := fmt.Fprintf(w, "%s  %s  %s: %d without a leader, %d under-replicated\n", count(info.Brokers, "broker"), count(info.Topics, "topic"),
						count(info.Partitions, "partition"), info.Leaderless, info.UnderReplicated)
					if err != nil || len(features) == 0 {
						return err
					}
					t := newTable("FEATURE", ">LEVEL", ">SUPPORTED")
					for _, f := range features {
						t.row(f.Name, number(f.Level), f.Supported)
					}
					return t.writeTo(w)
				})
			})
		},
	}
}

// features asks one broker for the features of the cluster.
func (a *admin) features(ctx context.Context) ([]featureRange, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "barnabas", "cli"
	resp, err := request[*kmsg.ApiVersionsResponse](ctx, a, req)
	if err != nil {
		return nil, failed(err, "cannot read API versions")
	}
	features := []featureRange{}
	for _, f := range resp.SupportedFeatures {
		out := featureRange{Name: f.Name, Supported: fmt.Sprintf("%d-%d", f.MinVersion, f.MaxVersion)}
		for _, final := range resp.FinalizedFeatures {
			if final.Name == f.Name {
				out.Level = final.MaxVersionLevel
			}
		}
		features = append(features, out)
	}
	slices.SortFunc(features, func(a, b featureRange) int { return strings.Compare(a.Name, b.Name) })
	return features, nil
}

func clusterBrokersCommand() *command {
	return &command{
		name: "brokers", summary: "List brokers, with what they lead and hold",
		run: func(e *env, _ []string) error {
			type row struct {
				ID         int32  `json:"id"`
				Host       string `json:"host"`
				Port       int32  `json:"port"`
				Rack       string `json:"rack,omitempty"`
				Controller bool   `json:"controller"`
				Leads      int    `json:"leads"`
				Replicas   int    `json:"replicas"`
				InSync     int    `json:"inSync"`
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				m, err := a.topics(ctx)
				if err != nil {
					return err
				}
				leads, replicas, inSync := map[int32]int{}, map[int32]int{}, map[int32]int{}
				m.Topics.EachPartition(func(p kadm.PartitionDetail) {
					leads[p.Leader]++
					for _, b := range p.Replicas {
						replicas[b]++
					}
					for _, b := range p.ISR {
						inSync[b]++
					}
				})
				rows := []row{}
				t := newTable(">ID", "HOST", ">PORT", "RACK", "CONTROLLER", ">LEADS", ">REPLICAS", ">IN SYNC")
				for _, b := range m.Brokers {
					r := row{b.NodeID, b.Host, b.Port, "", b.NodeID == m.Controller, leads[b.NodeID], replicas[b.NodeID], inSync[b.NodeID]}
					if b.Rack != nil {
						r.Rack = *b.Rack
					}
					rows = append(rows, r)
					controller := ""
					if r.Controller {
						controller = "yes"
					}
					t.row(number(r.ID), r.Host, number(r.Port), textOrDash(r.Rack), textOrDash(controller), number(r.Leads), number(r.Replicas), number(r.InSync))
				}
				return e.show(rows, t.writeTo)
			})
		},
	}
}

func clusterLogDirsCommand() *command {
	var topics []string
	var partitions bool
	broker := int32(-1)
	return &command{
		name: "log-dirs", summary: "Show log directories, what is in them and how much room is left",
		flags: func(f *flagSet) {
			f.int32(&broker, "broker", 0, "ID", "only this broker")
			f.strings(&topics, "topic", 't', "TOPIC", "only this topic; may be repeated")
			f.completes("topic")
			f.bool(&partitions, "partitions", 0, "list the partitions")
		},
		run: func(e *env, _ []string) error {
			type replica struct {
				Topic     string `json:"topic"`
				Partition int32  `json:"partition"`
				SizeBytes int64  `json:"sizeBytes"`
				OffsetLag int64  `json:"offsetLag"`
				Future    bool   `json:"future"`
			}
			type dir struct {
				Broker      int32     `json:"broker"`
				Dir         string    `json:"dir"`
				SizeBytes   int64     `json:"sizeBytes"`
				TotalBytes  int64     `json:"totalBytes"`
				UsableBytes int64     `json:"usableBytes"`
				Error       string    `json:"error,omitempty"`
				Replicas    []replica `json:"replicas"`
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				var set kadm.TopicsSet
				if len(topics) > 0 {
					var err error
					if set, err = a.partitionsOf(ctx, topics); err != nil {
						return err
					}
				}
				described := kadm.DescribedAllLogDirs{}
				var err error
				if broker >= 0 {
					described[broker], err = a.DescribeBrokerLogDirs(ctx, broker, set)
				} else {
					described, err = a.DescribeAllLogDirs(ctx, set)
				}
				if err != nil {
					return failed(err, "cannot read log directories")
				}
				dirs := []dir{}
				described.Each(func(d kadm.DescribedLogDir) {
					out := dir{d.Broker, d.Dir, d.Size(), d.TotalBytes, d.UsableBytes, "", []replica{}}
					if d.Err != nil {
						out.Error = d.Err.Error()
					}
					for _, p := range d.Topics.Sorted() {
						out.Replicas = append(out.Replicas, replica{p.Topic, p.Partition, p.Size, p.OffsetLag, p.IsFuture})
					}
					dirs = append(dirs, out)
				})
				slices.SortFunc(dirs, func(a, b dir) int {
					return comparePartitions("", a.Broker, "", b.Broker)*2 + strings.Compare(a.Dir, b.Dir)
				})
				t := newTable(">BROKER", "DIRECTORY", ">REPLICAS", ">SIZE", ">FREE", ">OF", "STATE")
				for _, d := range dirs {
					state := "ok"
					if d.Error != "" {
						state = d.Error
					}
					t.row(number(d.Broker), d.Dir, number(len(d.Replicas)), size(d.SizeBytes), size(d.UsableBytes), size(d.TotalBytes), state)
				}
				parts := []func(io.Writer) error{t.writeTo}
				if partitions {
					each := newTable(">BROKER", "DIRECTORY", "TOPIC", ">PARTITION", ">SIZE", ">LAG", "")
					for _, d := range dirs {
						for _, r := range d.Replicas {
							future := ""
							if r.Future {
								future = "moving here"
							}
							each.row(number(d.Broker), d.Dir, r.Topic, number(r.Partition), size(r.SizeBytes), number(r.OffsetLag), future)
						}
					}
					parts = append(parts, each.writeTo)
				}
				return e.show(dirs, sections(parts...))
			})
		},
	}
}

func clusterAPIVersionsCommand() *command {
	broker := int32(-1)
	return &command{
		name: "api-versions", summary: "Show the APIs of a broker and their versions",
		flags: func(f *flagSet) {
			f.int32(&broker, "broker", 0, "ID", "the broker to ask; any, if not named")
		},
		run: func(e *env, _ []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				req := kmsg.NewPtrApiVersionsRequest()
				req.ClientSoftwareName, req.ClientSoftwareVersion = "barnabas", "cli"
				var resp kmsg.Response
				var err error
				if broker >= 0 {
					resp, err = a.broker(int(broker)).Request(ctx, req)
				} else {
					resp, err = a.raw.Request(ctx, req)
				}
				if err != nil {
					return failed(err, "cannot read API versions")
				}
				type row struct {
					Key  int16  `json:"key"`
					Name string `json:"name"`
					Min  int16  `json:"min"`
					Max  int16  `json:"max"`
				}
				rows := []row{}
				t := newTable(">KEY", "API", ">MIN", ">MAX")
				for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
					r := row{k.ApiKey, kmsg.NameForKey(k.ApiKey), k.MinVersion, k.MaxVersion}
					rows = append(rows, r)
					t.row(number(r.Key), r.Name, number(r.Min), number(r.Max))
				}
				return e.show(rows, t.writeTo)
			})
		},
	}
}

func (a *admin) broker(id int) *kgo.Broker { return a.raw.Broker(id) }

func clusterProducersCommand() *command {
	return &command{
		name: "producers", args: "TOPIC[:0,3]...", minArgs: 1, maxArgs: -1, summary: "Show idempotent and transactional producers that wrote to topics lately",
		complete: []string{"topic"},
		run: func(e *env, args []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				set, err := a.partitionsOf(ctx, args)
				if err != nil {
					return err
				}
				described, err := a.DescribeProducers(ctx, set)
				if err != nil && len(described) == 0 {
					return failed(err, "cannot describe producers")
				}
				type row struct {
					Topic            string `json:"topic"`
					Partition        int32  `json:"partition"`
					ProducerID       int64  `json:"producerId"`
					ProducerEpoch    int16  `json:"producerEpoch"`
					LastSequence     int32  `json:"lastSequence"`
					LastTimestamp    int64  `json:"lastTimestamp"`
					CoordinatorEpoch int32  `json:"coordinatorEpoch"`
					TxnStartOffset   int64  `json:"txnStartOffset"` // -1: none open
				}
				rows, errs := []row{}, []error{}
				t := newTable("TOPIC", ">PARTITION", ">PRODUCER ID", ">EPOCH", ">LAST SEQUENCE", "LAST WRITE", ">OPEN TXN FROM")
				for _, p := range described.SortedPartitions() {
					if p.Err != nil {
						errs = append(errs, failed(p.Err, "cannot describe producers of %s-%d", p.Topic, p.Partition))
						continue
					}
					for _, d := range p.ActiveProducers.Sorted() {
						r := row{d.Topic, d.Partition, d.ProducerID, d.ProducerEpoch, d.LastSequence, d.LastTimestamp, d.CoordinatorEpoch, d.CurrentTxnStartOffset}
						rows = append(rows, r)
						t.row(r.Topic, number(r.Partition), number(r.ProducerID), number(r.ProducerEpoch), number(r.LastSequence), timestamp(r.LastTimestamp), orDash(r.TxnStartOffset))
					}
				}
				if len(rows) > 0 || len(errs) == 0 {
					errs = append(errs, e.show(rows, t.writeTo))
				}
				return errors.Join(errs...)
			})
		},
	}
}
