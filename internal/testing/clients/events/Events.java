// One record reads every event of docs/examples/events.jsonl, behind the Java SDK of CloudEvents: "make readers".
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import io.cloudevents.core.CloudEventUtils;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.jackson.PojoCloudEventDataMapper;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

class Events {
    record Reason(String code, String message, String hint, String said, String requestId) {}

    record Change(Instant dateTime, String resource, String operation) {}

    record Attempt(Integer attempt, Instant dateTime, String code) {}

    record Point(String id, String state, Instant createdDateTime, Long ageInSeconds, Long sizeInBytes, String sha256, Boolean copyOnly) {}

    record Guard(String name, String outcome, Reason reason) {}

    record Custody(
            String title, String status, Reason reason, Integer holders, Integer quorum, Integer of, Instant provenDateTime, Instant untilDateTime) {}

    record Finding(String result, String what, String target, Reason reason) {}

    record Preview(
            String hash, Instant createdDateTime, String plan, String target, String destination, String kind, String key,
            String restoreRegion, Point recoveryPoint, Custody custody, Boolean safetyBackup, Boolean noSafetyBackup, List<String> overwrites,
            List<String> notIncluded, List<String> calls, List<Guard> guards) {}

    /** The data of every event. */
    record Data(
            Reason reason, Change changedDuringBackup, List<Attempt> failedAttempts, Point lastVerified, List<Finding> findings, Preview preview,
            Boolean copyOnly, Boolean noSafetyBackup, Boolean backups, List<String> runs, List<String> changes, List<String> attention, List<String> recoveryPoints,
            Integer artifacts, Integer bytes, Integer count, Integer deletionsPerDay, Integer holders, Long intervalInSeconds, Integer manifests, Integer of, Integer omitted, Integer quorum, Long sizeInBytes, Integer stay,
            String account, String alarm, String app, String artifact, String batch, String by, String container, String first,
            String hold, String key, String kind, String newHash, String oldHash, String owner, String plan, String previewHash, String queue,
            String recoveryPoint, String recoveryPointState, String replaced, String request, String requestReason, String requestedBy,
            String row, String run, String safetyBackup, String source, String state, String status, String target, String warning,
            Instant acceptedDateTime, Instant activeSinceDateTime, Instant createdDateTime, Instant deletedDateTime,
            Instant endedDateTime, Instant expiresDateTime, Instant firstScheduledTime, Instant lastScheduledTime,
            Instant nextScheduledTime, Instant ownerSinceDateTime, Instant processDateTime, Instant provenDateTime, Instant scheduledTime, Instant sinceDateTime,
            Instant recoveredDateTime, Instant releasedDateTime, Instant stoppedSinceDateTime, Instant storageDateTime, Instant untilDateTime) {}

    public static void main(String[] docs) throws Exception {
        var mapper = JsonMapper.builder().addModule(new JavaTimeModule()).disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT).build(); // it refuses unknown members by itself
        var reader = PojoCloudEventDataMapper.from(mapper, Data.class);
        var seen = new TreeMap<String, Data>();
        for (var line : Files.readAllLines(Path.of(docs[0], "examples", "events.jsonl"))) {
            var event = new JsonFormat().deserialize(line.getBytes(StandardCharsets.UTF_8));
            equal(event.getDataContentType(), "application/json");
            equal(event.getExtensionNames(), Set.of());
            seen.putIfAbsent(event.getType(), CloudEventUtils.mapData(event, reader).getValue());
        }
        var known = new TreeSet<String>();
        mapper.readTree(Path.of(docs[0], "events.schema.json").toFile()).at("/properties/type/enum").forEach(t -> known.add(t.asText()));
        equal(seen.keySet(), known);
        equal(seen.get("lifeboat.plan.refused").reason().code(), "PlanRefused");
        equal(seen.get("lifeboat.stopped").requestReason(), "incident 4711");
        equal(seen.get("lifeboat.run.succeeded").endedDateTime(), Instant.parse("2026-03-28T02:30:00.123456789Z"));
        equal(seen.get("lifeboat.recovery-point.accepted").sizeInBytes(), 41_943_040L);
        System.out.println("one record reads all " + known.size() + " types of events");
    }

    private static void equal(Object got, Object want) {
        if (!want.equals(got)) {
            throw new AssertionError(got + ", want " + want);
        }
    }
}
