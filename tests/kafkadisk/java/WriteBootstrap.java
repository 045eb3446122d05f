import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.metadata.ConfigRecord;
import org.apache.kafka.common.metadata.PartitionRecord;
import org.apache.kafka.common.metadata.TopicRecord;
import org.apache.kafka.metadata.bootstrap.BootstrapDirectory;
import org.apache.kafka.metadata.bootstrap.BootstrapMetadata;
import org.apache.kafka.server.common.ApiMessageAndVersion;

/**
 * Adds topics to the bootstrap.checkpoint of a formatted KRaft metadata directory, so that a
 * controller that starts on it knows them, with their ids, from the beginning. Reads lines:
 *
 * <pre>
 * topic NAME ID
 * partition ID INDEX NODE DIRECTORY-ID LEADER-EPOCH
 * config NAME KEY VALUE
 * </pre>
 */
public class WriteBootstrap {
    public static void main(String[] args) throws Exception {
        BootstrapDirectory directory = new BootstrapDirectory(args[0], Optional.empty());
        List<ApiMessageAndVersion> records = new ArrayList<>(directory.read().records());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] w = line.split(" ", 4);
            switch (w[0]) {
                case "topic":
                    records.add(new ApiMessageAndVersion(new TopicRecord().setName(w[1]).setTopicId(Uuid.fromString(w[2])), (short) 0));
                    break;
                case "partition":
                    records.add(partition(line.split(" ")));
                    break;
                case "config":
                    records.add(new ApiMessageAndVersion(new ConfigRecord().setResourceType(ConfigResource.Type.TOPIC.id())
                        .setResourceName(w[1]).setName(w[2]).setValue(w[3]), (short) 0));
                    break;
                default:
                    throw new IllegalArgumentException(line);
            }
        }
        directory.writeBinaryFile(BootstrapMetadata.fromRecords(records, "barnabas"));
    }

    private static ApiMessageAndVersion partition(String[] w) {
        int node = Integer.parseInt(w[3]);
        int epoch = Integer.parseInt(w[5]);
        List<Integer> one = Collections.singletonList(node);
        return new ApiMessageAndVersion(new PartitionRecord().setTopicId(Uuid.fromString(w[1])).setPartitionId(Integer.parseInt(w[2]))
            .setReplicas(one).setIsr(one).setLeader(node).setLeaderEpoch(epoch).setPartitionEpoch(epoch)
            .setDirectories(Collections.singletonList(Uuid.fromString(w[4]))), (short) 1);
    }
}
