package main

import (
	"regexp"
	"strings"
	"sync"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// explanation is a difference that is meant.
type explanation struct {
	event  int        // 0 for all
	script string     // regular expression of script names, "" for all
	asked  string     // regular expression of what was asked, of generated requests, "" for all
	path   string     // regular expression of paths
	peer   peers.Kind // "" for all
	theirs string     // regular expression of what they answer, "" for all
	ours   string
	why    string
}

func explain(d difference) string {
	if (strings.HasSuffix(d.Path, "ErrorMessage")) && strings.HasPrefix(d.Theirs, `"`) && strings.HasPrefix(d.Ours, `"`) &&
		d.Theirs != `""` && d.Ours != `""` {
		return "the words of an error message are our own"
	}
	for _, e := range explanations {
		if (e.peer == "" || e.peer == d.Peer) && (e.script == "" || matches("(?:"+e.script+")( v[0-9]+)?", d.Script)) && (e.event == 0 || e.event == d.Event) && matches(e.path, d.Path) && matches(e.asked, d.Asked) &&
			matches(e.theirs, d.Theirs) && matches(e.ours, d.Ours) {
			return e.why
		}
	}
	return ""
}

func matches(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	expression, ok := compiled.Load(pattern)
	if !ok {
		expression, _ = compiled.LoadOrStore(pattern, regexp.MustCompile("^(?:"+pattern+")$"))
	}
	return expression.(*regexp.Regexp).MatchString(s)
}

// compiled are the expressions of explanations, by their text.
var compiled sync.Map

var explanations = []explanation{
	{script: "produce: null records", theirs: "silent",
		why: "Apache never answers null records: its handler dies; we answer INVALID_RECORD"},
	{script: "produce: the same partition twice", path: `Responses.*`,
		why: "a partition named twice: Apache keeps the last of its batches, drops the others and says nothing; we append and answer each"},
	{script: "produce: the same topic twice", path: `Responses.*`,
		why: "we answer in the order and grouping of the request; Apache's answer comes out of a hash map"},
	{script: "fetch: the same partition twice", path: `Responses.*`,
		why: "a partition named twice without a session: Apache keeps the last, we answer each"},
	{script: "fetch: sizes|generated: Fetch.* v[0-2]", path: `Responses\[[0-9]+\].Partitions\[[0-9]+\].Records\[0\]`, theirs: "not there",
		why: "Fetch v0-v2 with a limit below the first batch: Apache answers nothing, at which old clients hang; we send it cut, or whole"},
	{script: "fetch.*", path: `.*Records\[[0-9]+\]`, theirs: `\{cutAfterBytes.*`, ours: "not there",
		why: "Apache cuts the last batch of an answer at the limit; we end it with a whole batch"},
	{script: "metadata: creates topics", path: `Topics\[0\].*`,
		why: "Metadata that creates a topic: we name its leader at once, Apache answers UNKNOWN_TOPIC_OR_PARTITION first"},
	{script: "sweep: Metadata", event: 12, path: `Topics\[0\].*`,
		why: "Metadata that creates a topic: we name its leader at once, Apache answers UNKNOWN_TOPIC_OR_PARTITION first"},
	{path: `(Results|Topics)\[[0-9]+\].Configs\[[0-9]+\]`, theirs: "not there", ours: `\{Name: "barnabas\..*`, why: "configuration keys that only we have"},
	{script: "describetopicpartitions: pages", event: 15, path: `Topics.*`,
		why: "DescribeTopicPartitions with the topic name \"\" and no cursor: Apache dies of a null pointer"},
	{script: "describeconfigs: .*v0", path: `.*IsDefault`, theirs: "false", ours: "true",
		why: "DescribeConfigs v0: Apache 3.9 never fills IsDefault; we do, as brokers of that time did"},
	{script: "describeconfigs: .*", path: `.*Documentation`, theirs: `".*`, ours: `".*`, why: "the documentation of keys is in our own words"},
	{script: "describeconfigs: what is not there", event: 14, why: "resource type GROUP: 4.x has it, as we do; 3.9 refuses it"},
	{script: "createtopics: configs", event: 15, path: ".*Value", theirs: `" 5 "`,
		why: "spaces around the value of a new topic's key: Apache shows them, we show the value that is in force"},
	{script: "electleaders: elections", event: 11,
		why: "ElectLeaders with a timeout of 0: KRaft refuses it, ZooKeeper mode served it, and clients still send it; we serve it"},
	{script: "(alone: commit|commit: |generated: OffsetCommit|sweep: OffsetCommit|race: heartbeats and commits|offsets: committed again).*v0", why: "OffsetCommit v0 is kept like later versions with us; KRaft brokers refuse it, ZooKeeper ones kept it in ZooKeeper"},
	{script: "(offsetfetch: nothing there|sweep: OffsetFetch|generated: OffsetFetch.*) v0", why: "OffsetFetch v0 is served by us, with error 3 where nothing is, as brokers over ZooKeeper answer it; KRaft brokers refuse it"},
	{script: "offsetfetch: several groups|generated: OffsetFetch.*", theirs: "silent|nothing", why: "OffsetFetch v8 and later without groups: Apache 3.9 never answers"},
	{script: "describegroups: kinds of states|generated: DescribeGroups.*|sweep: DescribeGroups", path: ".*AuthorizedOperations", theirs: "328", ours: "3400",
		why: "operations on a group: 4.x counts those on its configuration in, as we do; 3.9 does not know them"},
	{script: "join: what is refused", event: 9, theirs: `"Empty"`, ours: `"Dead"`,
		why: "a join that is refused leaves an empty group behind in Apache, none with us"},
	{script: "produce: headers of batches that do not fit|formats: records that lie", peer: peers.Apache43,
		why: "timestamps far in the future: 4.x refuses them by default (message.timestamp.after.max.ms), 3.9 and we do not"},
	{script: "listoffsets: duplicates", peer: peers.Apache43,
		why: "ListOffsets with a partition named twice: 3.9 answers both, as we do in all versions, 4.x one of them"},
	{script: "listoffsets: unknown topic and partition", peer: peers.Apache43, event: 6,
		why: "ListOffsets of a topic without partitions: 3.9 answers for it, as we do in all versions, 4.x does not"},
	{script: "commit: nothing, and twice", peer: peers.Apache39, event: 2, theirs: "not there",
		why: "OffsetCommit with a partition named twice: 3.9 answers once, 4.x and we twice"},
	{peer: peers.Apache43, path: `Groups\[[0-9]+\]\.Members\[[0-9]+\]\.MemberAssignment`, theirs: `".+"`, ours: `""`,
		why: "DescribeGroups while a group rebalances: 4.x shows the assignments of the last generation, 3.9 none, as we do"},
	{script: "connection: tags in headers and bodies", theirs: ".*", ours: "closed",
		why: "a count of tags above 2^31: to Apache it is negative, and so none; we close the connection"},
	{script: "formats: timestamps of magic 1", path: ".*ErrorCode", theirs: "-1", ours: "32",
		why: "timestamps below -1: Apache's handler throws and answers UNKNOWN_SERVER_ERROR; we answer INVALID_TIMESTAMP"},
	{script: "race: .*", theirs: "silent", ours: `\{.*ErrorCode: 2[57].*`,
		why: "a join or sync that waits and is displaced, by the same member on another connection or by its leaving: we end it with an error, Apache never answers it"},
	{script: "race: protocols of several members", path: "ProtocolName|Members.*Metadata", theirs: ".*cooperative-sticky.*", ours: ".*range.*",
		why: "two protocols with as many votes: Apache's choice comes out of a hash map, ours is what the leader likes best"},
	{script: "scram: what cannot be|generated: AlterUserScramCredentials.*", path: ".*Error(Code|Message)", theirs: "-1|null|\"The server experienced.*", ours: "93|\"Empty.*",
		why: "an empty salted password: Apache's handler throws, we refuse it with UNACCEPTABLE_CREDENTIAL"},
	{script: "quotas: entities that cannot be", event: 6, theirs: "0|null", ours: `42|.*valid IP.*`,
		why: "quotas of an IP address: Apache takes short forms and names that resolve, we take addresses only"},
	{script: "(unregisterbroker|sweep: UnregisterBroker|generated: UnregisterBroker).*", path: "ErrorMessage", peer: peers.Apache39, theirs: `""`, ours: `"Broker ID.*`,
		why: "UnregisterBroker of one that is not there: 4.x says so in words, as we do, 3.9 by its code alone"},
	{script: "generated: ApiVersions.*", path: "FinalizedFeatures", ours: "not there",
		why: "a level of metadata.version is not finalized with us: our metadata does not consist of Kafka's records"},
	{script: "apiversions: the rest of the answer", event: 5, ours: "none",
		why: "a level of metadata.version is not finalized with us: our metadata does not consist of Kafka's records"},
	{script: "sweep: .*", path: ".*ErrorMessage", theirs: `null|""`, ours: `"[^"]*(uthoriz|allowed|needed)[^"]*"`,
		why: "what a refusal says: Apache nothing, we what is missing"},
	{script: "sweep: DescribeUserScramCredentials", path: `Results\[0\]`, theirs: `\{User: "", ErrorCode: 31.*`, ours: "not there",
		why: "DescribeUserScramCredentials that is refused: Apache adds a result for the user with no name"},
	{script: "acls: what cannot be created", path: ".*Error(Code|Message)", theirs: "-1|null", ours: `42|"Invalid (resource|pattern|operation|permission).*`,
		why: "CreateAcls with a number that only filters have: Apache's controller throws, we answer INVALID_REQUEST"},
	{script: "secured: an ACL goes while a fetch waits.*", path: "Responses.*",
		why: "a fetch that waits: Apache looks at the ACLs when it comes, we also when records have come"},
	{script: "(describequorum: .*|sweep: DescribeQuorum|generated: DescribeQuorum.*)", path: `Nodes.*Listeners\[0\]`, ours: "not there",
		why: "DescribeQuorum names no listeners of ours: our voters do not speak Kafka's protocol"},
	{script: "generated: Produce.*", theirs: "silent", ours: ".*ErrorCode: (87|2),.*", // 2 where other records of the request are no batches
		why: "Apache never answers null records: its handler dies; we answer INVALID_RECORD"},
	{script: "generated: Produce.*", asked: twice, path: `Responses.*`,
		why: "we answer in the order and grouping of the request; Apache's answer comes out of a hash map"},
	{script: "generated: Fetch.*", asked: twice, path: "Responses.*",
		why: "a partition named twice without a session: Apache keeps the last, we answer each"},
	{script: "generated: Fetch.*", asked: `.*SessionId: -?2147483[0-9]+, .*`, path: "ErrorCode|SessionId|Responses.*",
		why: "Fetch with a session id at the ends of int32: Apache looks for a shard that it does not have, and fails; we answer as for any id that is not there"},
	{script: "generated: ListOffsets.*", peer: peers.Apache43, asked: twice, path: "Topics.*",
		why: "ListOffsets with a partition named twice: 3.9 answers both, as we do in all versions, 4.x one of them"},
	{script: "generated: ListOffsets.*", peer: peers.Apache43, path: ".*order",
		why: "ListOffsets: 4.x puts what is refused first, 3.9 keeps the order of the request, as we do in all versions"},
	{script: "generated: ListOffsets.*", peer: peers.Apache43, path: `Topics\[[0-9]+\]`, theirs: "not there", ours: `.*Partitions: \[\]\}`,
		why: "ListOffsets of a topic without partitions: 3.9 answers for it, as we do in all versions, 4.x does not"},
	{script: "generated: ListOffsets.* v1[01]", peer: peers.Apache43, path: `.*ErrorCode`, theirs: "-1", ours: "35",
		why: "ListOffsets of a timestamp below all that mean something: 4.x fails with UNKNOWN_SERVER_ERROR; we answer UNSUPPORTED_VERSION, as 3.9 does"},
	{script: "generated: ListOffsets.*", peer: peers.Apache43, asked: ".*IsolationLevel: (2|-1|127|-127|-128|126), .*", path: `.*ErrorCode`, theirs: "-1",
		why: "ListOffsets of an isolation level that there is not: 4.x fails with UNKNOWN_SERVER_ERROR; 3.9 says what is wrong with each partition, as we do"},
	{script: "generated: OffsetCommit.*", asked: twice, path: `Topics.*`,
		why: "OffsetCommit with a partition named twice: Apache answers once where the group refuses it, 3.9 where it does not too; we twice"},
	{script: "generated: .*", asked: "oversize( twice)?, .*", theirs: `-1|null|true|not there|silent|.*ErrorCode: -1, .*|"The server experienced an unexpected error.*`,
		why: "names of tens of kilobytes: Apache fails at its own error message, which is too long for its answer; we say what is wrong, and cut the message"},
	{script: "generated: DescribeConfigs.* v0", path: `.*IsDefault`, theirs: "false", ours: "true",
		why: "DescribeConfigs v0: Apache 3.9 never fills IsDefault; we do, as brokers of that time did"},
	{script: "generated: DescribeConfigs.*", path: `.*Documentation`, theirs: `".*`, ours: `".*`, why: "the documentation of keys is in our own words"},
	{script: "generated: (Describe|Alter|IncrementalAlter)Configs.*", peer: peers.Apache39, asked: ".*ResourceType: 32, .*", path: `Re(sults|sponses).*`,
		why: "resource type GROUP: 4.x has it, as we do; 3.9 refuses it"},
	{script: "generated: DescribeTopicPartitions.*", asked: `.*\{Name: ""\}.*Cursor: null.*`, path: "Topics.*|NextCursor",
		why: "DescribeTopicPartitions with the topic name \"\" and no cursor: Apache dies of a null pointer"},
	{script: "produce: several topics.*", path: `Responses order`,
		why: "we answer in the order and grouping of the request; Apache's answer comes out of a hash map"},
	{script: "(fetch: isolation levels|generated: Fetch.*)", peer: peers.Apache43, path: `.*Records`, theirs: `\[\]`, ours: "null",
		why: "Fetch v4-v12 with an isolation level that there is not: 4.x answers no records, 3.9 null, as we do"},
	{script: "generated: Fetch.*", asked: `.*TopicId: 0{32}, .*`, path: "ErrorCode|SessionId|Responses.*",
		why: "Fetch of the topic id 0 in a new session: Apache dies of a null pointer; we answer UNKNOWN_TOPIC_ID"},
	{script: "fetch: what old producers wrote|connection: first bytes of other protocols", peer: peers.Apache43, theirs: "nothing|closed",
		why: "Produce v0 to v2: 4.x does not serve them, 3.9 and we do"},
	{script: "fetch: down-conversion switched off", peer: peers.Apache43, theirs: "nothing",
		why: "message.downconversion.enable: a topic of 4.x has no such key"},
	{script: "(findcoordinator: unknown types|generated: FindCoordinator.*) v6", peer: peers.Apache43, path: `Coordinators.*\.ErrorCode`, theirs: "42", ours: "15",
		why: "coordinators of share groups: 4.x looks at the form of the key; 3.9 has none, as we have none"},
	{script: "(updatefeatures: .*|sweep: UpdateFeatures|generated: UpdateFeatures.*) v[01]", peer: peers.Apache43, path: `Error(Code|Message)|Results\[[0-9]+\]`,
		why: "UpdateFeatures v0 and v1: 4.x says only of the request as a whole what is wrong; 3.9 says it of each feature, as we do"},
	{script: "generated: UpdateFeatures.* v[01]", peer: peers.Apache39, path: `Results\[[0-9]+\].Error(Code|Message)`, theirs: "0|null", ours: `95|"Not updated, because.*`,
		why: "UpdateFeatures of which one is refused: 3.9 updates the others, 4.x and we update none"},
	{script: "generated: UpdateFeatures.*", asked: `.*"(group|transaction|kraft|metadata).version".*`, path: `(Results\[[0-9]+\].)?Error(Code|Message)`,
		why: "UpdateFeatures: Apache has features, and levels of them, that we do not have"},
	{path: `.*Configs\[[0-9]+\](\.Synonyms\[[0-9]+\])?\.Value`, peer: peers.Apache43, theirs: `"3600000"`, ours: `"9223372036854775807"`,
		why: "message.timestamp.after.max.ms: an hour with 4.x, no limit with 3.9 and us: records of a client with a wrong clock are not refused"},
	{path: `.*Configs\[[0-9]+\]\.(ConfigSource|Synonyms\[0\]\.Source)`, peer: peers.Apache43, theirs: "3", ours: "5",
		why: "min.insync.replicas: 4.x sets it for the cluster when it formats the disk; 3.9 and we do not"},
	{path: `.*Configs\[[0-9]+\]\.Synonyms\[1\]`, peer: peers.Apache43, theirs: `\{Name: "min.insync.replicas", Value: "1", Source: 5.*`, ours: "not there",
		why: "min.insync.replicas: 4.x sets it for the cluster when it formats the disk; 3.9 and we do not"},
	{path: `.*Configs\[[0-9]+\]`, peer: peers.Apache43, theirs: "not there", ours: `\{Name: "message\.(downconversion\.enable|format\.version|timestamp\.difference\.max\.ms)".*`,
		why: "message.downconversion.enable, message.format.version, message.timestamp.difference.max.ms: topics of 4.x do not have them, those of 3.9 and ours do"},
	{script: "generated: DescribeConfigs.*", peer: peers.Apache43, asked: ".*ResourceType: 16, .*", path: `.*Configs\[[0-9]+\]`, theirs: `\{Name: "(interval.ms|match|metrics)".*`, ours: "not there",
		why: "DescribeConfigs of client metrics that nobody has set: 4.x shows the defaults, 3.9 nothing, as we do"},
	{script: "generated: DescribeConfigs.*", peer: peers.Apache43, asked: ".*ResourceType: 32, .*", path: `.*Configs\[[0-9]+\](\.Synonyms\[[0-9]+\])?\.Value`, theirs: `"2000"`, ours: `"200"`,
		why: "share.partition.max.record.locks: ours is 3.9's default of group.share.partition.max.record.locks; share groups are not there yet"},
	{script: "(commit: .*|generated: OffsetCommit.*|race: heartbeats and commits.*) v9", peer: peers.Apache43, path: `.*ErrorCode`, theirs: "69", ours: "22",
		why: "OffsetCommit v9 with a generation, to a group that is not there: 4.x says GROUP_ID_NOT_FOUND, 3.9 ILLEGAL_GENERATION, as we do"},
	{script: "(offsetfetch: nothing there|generated: OffsetFetch.*)", peer: peers.Apache39, path: `(Groups\[[0-9]+\]\.)?Topics\[[0-9]+\]`, theirs: "not there", ours: `.*Partitions: \[\]\}`,
		why: "OffsetFetch of a topic without partitions: 3.9 leaves it out, 4.x answers for it, as we do"},
	{script: "generated: OffsetFetch.*", peer: peers.Apache39, asked: twice, path: `(Groups\[[0-9]+\]\.)?Topics.*`,
		why: "OffsetFetch that names a partition twice: 3.9 answers once, 4.x each time, as we do"},
	{script: "generated: OffsetDelete.*", asked: twice, path: `Topics.*`,
		why: "OffsetDelete that names something twice: 3.9 answers for each partition once, 4.x for each topic as often as it is named; we put the topics together"},
	{script: "generated: OffsetDelete.*", peer: peers.Apache43, path: `ErrorCode|Topics\[[0-9]+\]`, theirs: `0|\{Name: .*`, ours: "69|not there",
		why: "OffsetDelete after the last offset of a group without members was deleted: 4.x keeps the empty group for a while, with 3.9 and us it is gone"},
	{script: "generated: CreateDelegationToken.*", asked: `.*OwnerPrincipalType: null, OwnerPrincipalName: ".+", .*`, path: "ErrorCode|PrincipalType|PrincipalName",
		why: "CreateDelegationToken for a name without a type: Apache dies of a null pointer; we refuse it as any token on this listener"},
	{script: "generated: PushTelemetry.*", path: "ErrorCode", theirs: "42|89|117", ours: "42|89|117",
		why: "PushTelemetry over a new connection: what a broker knew of the client it forgets when it notices that the old connection has ended, Apache and we each in our own time"},
	{script: "generated: .*", asked: "impossible length.*", theirs: `not there|.*(�|\\ufffd).*`, ours: `not there|.*"[^"]*\\x[89a-f].*`,
		why: "names that are not UTF-8: Apache answers with a replacement character for what it cannot read, we with the bytes as they came"},
	{script: "generated: Produce.*", asked: "impossible length.*", path: "Responses.*",
		why: "a partition named twice: Apache keeps the last of its batches, drops the others and says nothing; we append and answer each"},
	{script: "generated: (Incremental)?AlterConfigs.*", peer: peers.Apache39, asked: ".*ResourceType: 16, .*", path: `Responses\[[0-9]+\].Error(Code|Message)`, theirs: "-1|null", ours: `40|"Invalid value.*`,
		why: "client metrics with a value that is no number: 3.9 fails with UNKNOWN_SERVER_ERROR, 4.x answers INVALID_CONFIG, as we do"},
	{script: "generated: (Incremental)?AlterConfigs.*", asked: ".*ResourceType: 16, .*", path: `Responses\[[0-9]+\].ErrorCode`, theirs: "40|42", ours: "40|42",
		why: "client metrics with several bad keys: which of them Apache finds first comes out of a hash map"},
	{script: "generated: CreateTopics.*", peer: peers.Apache43, asked: `.*Name: "(segment.bytes|message.format.version|message.downconversion.enable|message.timestamp.difference.max.ms)".*`,
		path: `Topics\[[0-9]+\].*`, theirs: `40|-1|null|".*|no-id|not there|\[\]`,
		why: "segment.bytes below a megabyte, and keys that topics of 4.x do not have: 4.x refuses them, 3.9 and we take them"},
	{script: "generated: (Incremental)?AlterConfigs.*", peer: peers.Apache43, asked: `.*Name: "(segment.bytes|message.format.version|message.downconversion.enable|message.timestamp.difference.max.ms)".*`,
		path: `Responses\[[0-9]+\].Error(Code|Message)`, theirs: `40|".*`,
		why: "segment.bytes below a megabyte, and keys that topics of 4.x do not have: 4.x refuses them, 3.9 and we take them"},
	{script: "(sweep: UpdateFeatures|generated: UpdateFeatures.*) v2", peer: peers.Apache43, path: "Error(Code|Message)", theirs: `95|".*not found."`, ours: "0|null",
		why: "UpdateFeatures of a feature that there is not, to level 0: 4.x refuses it, 3.9 does not, nor do we"},
	{script: "generated: JoinGroup.*", asked: "oversize( twice)?, .*", ours: "42",
		why: "JoinGroup with names of 32 kilobytes: we refuse what could not be stored, Apache looks for the member first"},
	{script: "generated: DescribeTopicPartitions.*", asked: ".*Cursor: .*PartitionIndex: 214748364[67].*", path: `NextCursor|Topics\[[0-9]+\]`,
		why: "DescribeTopicPartitions from the last partition number of all: Apache counts on below 0 and takes the page for full"},
}

// twice is how generated requests begin that name something twice.
const twice = "[a-z ]+ twice, .*"
