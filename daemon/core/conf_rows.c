/* conf_rows.c - every setting of the daemon, once.  Rows of one group ("train.") stand together. */
#include "conf_row.h"

#include <assert.h>

#include "hn_net.h"
#include "log.h"

static const char *const task_names[] = { "classify", "regress", "autoencode", "forecast", NULL };
_Static_assert(HN_CLASSIFY == 0 && HN_REGRESS == 1 && HN_AUTOENCODE == 2 && HN_FORECAST == 3,
               "task_names follows enum hn_task");
static const char *const mode_names[] = { "auto", "advise", "manual", NULL };
/* tests/unit/check_conf_train.c compares these with their tables in lib. */
static const char *const schedule_names[] = { "constant", "cosine", "step", "plateau", NULL };
static const char *const update_names[] = { "full", "last", "biases", "sparse", "scaler", NULL };
static const char *const loss_names[] = { "auto", "cross_entropy", "mse", "huber",
	"binary_cross_entropy", NULL };
static const char *const optimiser_names[] = { "adam", "adamw", "sgd", NULL };
static const char *const quantise_names[] = { "ptq", "qat", NULL };
static const char *const rounding_names[] = { "double", "single", NULL };
static const char *const telemetry_names[] = { "raw", "sketch", "exception", NULL };
static const char *const ask_names[] = { "episode", "stream", NULL };

#define DAY  86400.0
#define YEAR (365 * DAY)
#define MB   1048576.0
#define GB   (1024 * MB)

/* A REQUIRED row's default is only the example of the sample file. */

#define ROW_OF struct conf_source
static const struct conf_row source_rows[] = {
TEXT("name", name, "pump", CONF_NAME | CONF_REQUIRED, "name of the source"),
{ .key = "type", .type = CONF_DRIVER, ROW_AT(int, type), .flags = CONF_REQUIRED,
  .help = "driver; it decides which further settings there are",
  .off_count = offsetof(struct conf_source, settings) },
CONF_END
};
#undef ROW_OF

#define ROW_OF struct hn_channel
static const struct conf_row channel_rows[] = {
TEXT("name",   name, "ax", CONF_RANGE | CONF_REQUIRED,
     "name of the channel; S{01..16} stands for 16 channels"),
TEXT("unit",   unit, "", 0, "unit of the value"),
REAL("scale",  scale, "0.001", 1e-12, 1e12, "", 0,
     "one step of the stored integer: value = raw * scale + offset"),
REAL("offset", offset, "0", -1e12, 1e12, "", 0, "value of the stored integer 0"),
REAL("min",    min, "0", -1e15, 1e15, "", 0,
     "lowest value that is possible; not checked when min equals max"),
REAL("max",    max, "0", -1e15, 1e15, "", 0, "highest value that is possible"),
CONF_END
};
#undef ROW_OF

#define ROW_OF struct conf_stream
static const struct conf_row stream_rows[] = {
TEXT("name",     name, "vibration", CONF_NAME | CONF_REQUIRED, "name of the stream"),
TEXT("source",   source, "pump", CONF_REQUIRED, "name of the source that it comes from"),
TIME("period",   period_s, "0s", 0, DAY, 0, "nominal time between two frames; 0s = irregular"),
TIME("gap",      gap_s, "0s", 0, YEAR, 0, "a longer silence is a gap; 0s = five periods"),
LIST("channels", channels, struct hn_channel, n_channels, channel_rows, CONF_REQUIRED,
     "the values of one frame, in order; a plain name is enough"),
CONF_END
};
#undef ROW_OF

#define ROW_OF struct conf_model
static const struct conf_row model_rows[] = {
TEXT ("name",    name, "pump-state", CONF_NAME | CONF_REQUIRED, "name of the model"),
TEXTS("streams", streams, n_streams, "[vibration]", 0,
     "windows of all these streams train it; streams of its devices are added"),
ENUM ("task",    task, "classify", task_names, 0, "what the output means"),
TEXTS("classes", classes, n_classes, "[idle, normal, worn]", 0,
     "names of the classes, in the order of the outputs; autoencode: of the two answers, [normal, "
     "anomaly] when none are given"),
INT  ("window",  window, "32", 1, 4096, "frames", 0, "length of one input"),
INT  ("hop",     hop, "0", 0, 4096, "frames", 0,
     "step from one window to the next; 0 = the window"),
TEXT ("network", network, "dense 16, relu, dense 3", CONF_REQUIRED | CONF_JOIN,
     "layers from input to output"),
BOOL ("predict", predict, "false", CONF_RELOAD, "also run the champion in the gateway"),
INT  ("train.epochs",       train.epochs, "60", 1, 10000, "", CONF_RELOAD,
     "most passes over the training windows"),
INT  ("train.batch",        train.batch, "32", 1, 1024, "windows", CONF_RELOAD,
     "windows of one training step"),
INT  ("train.patience",     train.patience, "8", 0, 10000, "epochs", CONF_RELOAD,
     "stop after so many epochs without a better validation loss; 0: never, and all windows train"),
INT  ("train.seed",         train.seed, "1", 0, 9007199254740991.0, "", CONF_RELOAD,
     "same seed and data, same weights"),
REAL ("train.rate",         train.rate, "0.001", 1e-8, 10, "", CONF_RELOAD,
     "learning rate"),
ENUM ("train.loss",         train.loss, "auto", loss_names, CONF_RELOAD,
     "what is made small; auto: cross_entropy to classify, mse otherwise"),
REAL ("train.delta",        train.delta, "1", 1e-9, 1e9, "", CONF_RELOAD,
     "huber: errors from here on count linearly"),
ENUM ("train.optimiser",    train.optimiser, "adamw", optimiser_names, CONF_RELOAD,
     "how the weights follow the gradient; adamw takes weight_decay out of it"),
REAL ("train.momentum",     train.momentum, "0.9", 0, 0.999, "", CONF_RELOAD,
     "sgd: share of the last step that is kept"),
ENUM ("train.schedule",     train.schedule, "constant", schedule_names, CONF_RELOAD,
     "rate over the run: constant; cosine down to 5 % after the first third; step: times decay "
     "every decay_epochs; plateau: times decay after decay_epochs without improvement"),
REAL ("train.decay",        train.decay, "0.5", 0.001, 1, "", CONF_RELOAD,
     "step and plateau: factor of the rate"),
INT  ("train.decay_epochs", train.decay_epochs, "10", 1, 10000, "epochs", CONF_RELOAD,
     "step and plateau: epochs"),
INT  ("train.warmup",       train.warmup, "0", 0, 1000000, "steps", CONF_RELOAD,
     "steps over which the rate rises from 0"),
REAL ("train.ema",          train.ema, "0", 0, 0.9999, "", CONF_RELOAD,
     "exponential average of the weights, which is evaluated and becomes the version: share that "
     "one step keeps; 0 = none"),
REAL ("train.clip",         train.clip, "0", 0, 1e9, "", CONF_RELOAD,
     "largest norm of a gradient, longer ones are shortened; 0 = no limit"),
REAL ("train.weight_decay", train.weight_decay, "0", 0, 1, "", CONF_RELOAD,
     "pull of the weights towards 0"),
ENUM ("train.update",       train.update, "full", update_names, CONF_RELOAD,
     "what a job changes: full begins with fresh weights; the others begin with the champion's and "
     "change the last layers, the biases, few weights on its int8 grid, or only the input scaler. "
     "Without a champion of the same network: full"),
INT  ("train.last_layers",  train.last_layers, "1", 1, 24, "layers", CONF_RELOAD,
     "update last: layers with weights, counted from the end"),
REAL ("train.anchor",       train.anchor, "0", 0, 1000, "", CONF_RELOAD,
     "pull of the weights towards the champion's, which a job with an anchor begins with"),
SIZE ("train.wire_max",     train.wire_max, "1KB", 64, MB, CONF_RELOAD,
     "update sparse: bytes of the delta that goes to a device"),
REAL ("train.smoothing",    train.smoothing, "0", 0, 0.5, "", CONF_RELOAD,
     "share of each label given to the other classes; loss cross_entropy only"),
ENUM ("train.quantise",     train.quantise, "ptq", quantise_names, CONF_RELOAD,
     "ptq: round the weights after the fit; qat: train on for as many epochs, rounding as the "
     "device will"),
ENUM ("train.rounding",     train.rounding, "double", rounding_names, CONF_RELOAD,
     "how int8 sums are scaled. double: as TensorFlow Lite Micro; single: as TensorFlow Lite, "
     "XNNPACK and Arm NN, for firmware that is built with it"),
REAL ("train.holdout",      train.holdout, "0.2", 0.05, 0.9, "", CONF_RELOAD,
     "share of the labelled windows that only the gate sees"),
REAL ("train.holdout_recent", train.holdout_recent, "0.2", 0, 0.9, "", CONF_RELOAD,
     "the same for windows of the new regime; 0: all of them train, and the gate asks that they "
     "were learned"),
REAL ("train.recent_share", train.recent_share, "0", 0, 0.95, "", CONF_RELOAD,
     "weight of the windows of the new regime together; 0: as many as they are"),
INT  ("train.windows_max",  train.windows_max, "4096", 16, 200000, "windows", CONF_RELOAD,
     "task autoencode: most windows of a job; of more frames they are taken evenly, half of them "
     "of the new regime"),
INT  ("train.scaler_frames", train.scaler_frames, "256", 0, 100000, "frames", CONF_RELOAD,
     "newest frames of the new regime, labelled or not, that shape the input scaler"),
SIZE ("train.memory_max",   train.memory_max, "64MB", MB, 64 * GB, CONF_RELOAD,
     "memory of a job; a plan that needs more takes smaller parts of a batch at once, then "
     "computes outputs of layers twice, and a job that does not fit even so does not start"),
TIME ("train.time_max",     train.time_max_s, "30min", 1, 30 * DAY, CONF_RELOAD,
     "a job that runs longer is killed"),
TIME ("train.checkpoint",   train.checkpoint_s, "10s", 0, DAY, CONF_RELOAD,
     "time between two checkpoints, from which an interrupted job goes on; 0s = none"),
REAL ("anomaly.quantile", anomaly.quantile, "0.995", 0.5, 0.99999, "", CONF_RELOAD,
     "task autoencode: share of normal held-back windows within the limit; a larger distance is an "
     "anomaly"),
ENUM ("policy.mode",             policy.mode, "auto", mode_names, CONF_RELOAD,
     "auto retrains, advise asks a person, manual only obeys"),
TIME ("policy.cooldown",         policy.cooldown_s, "10min", 0, YEAR, CONF_RELOAD,
     "shortest time between two jobs"),
INT  ("policy.labels_min",       policy.labels_min, "8", 0, 1000000, "windows", CONF_RELOAD,
     "labelled windows since the last version that a job needs; autoencode: windows"),
REAL ("policy.label_budget",     policy.label_budget, "20", 0, 1e9, "labels", CONF_RELOAD,
     "labels that it may ask for in one label_period"),
TIME ("policy.label_period",     policy.label_period_s, "30d", 1, 10 * YEAR, CONF_RELOAD,
     "time that label_budget is for"),
ENUM ("policy.ask",              policy.ask, "episode", ask_names, CONF_RELOAD,
     "episode asks when drift was found, stream at every prediction that is unsure; then each "
     "label trains"),
REAL ("policy.ask_margin",       policy.ask_margin, "0.9", 0, 1, "", CONF_RELOAD,
     "stream: margin of the probabilities below which a window is worth a label"),
REAL ("policy.ask_spacing",      policy.ask_spacing, "3", 0, 1e6, "predictions", CONF_RELOAD,
     "stream: least distance of two questions"),
REAL ("policy.alarms_per_month", policy.alarms_per_month, "1", 0.001, 1000, "", CONF_RELOAD,
     "false alarms that the monitors may raise"),
INT  ("monitor.block",        monitor.block, "0", 0, 65536, "frames", 0,
     "frames of one block that the monitor judges; 0: the window"),
INT  ("monitor.learn",        monitor.learn, "0", 0, 256, "blocks", 0,
     "blocks that make the reference window; 0: 128"),
INT  ("monitor.settle",       monitor.settle, "0", 0, 1000000, "blocks", 0,
     "blocks after an alarm before labels are asked for; 0: half of learn"),
INT  ("monitor.level_blocks", monitor.level_blocks, "0", 0, 65536, "blocks", 0,
     "blocks averaged for one step of the slow charts; 0: 16"),
INT  ("monitor.level_learn",  monitor.level_learn, "0", 0, 65536, "", 0,
     "such steps before the slow charts are armed; 0: 256"),
TIME ("monitor.season",       monitor.season_s, "0s", 0, YEAR, 0,
     "length of a season that the slow charts remove; 0s: none"),
INT  ("monitor.margin_learn", monitor.margin_learn, "0", 0, 1000000, "predictions", 0,
     "predictions before the chart of margins is armed; 0: 128 a stream"),
INT  ("monitor.quiet_blocks", monitor.quiet_blocks, "0", 0, 1000000, "blocks", 0,
     "calm blocks that end an episode without a new version; 0: 8 times learn"),
REAL ("monitor.threshold",    monitor.threshold, "0", 0, 1e6, "", 0,
     "replaces the threshold that follows from alarms_per_month; 0: it does not"),
INT  ("gate.windows_min",   gate.windows_min, "8", 1, 1000000, "windows", CONF_RELOAD,
     "held-back windows needed to decide"),
REAL ("gate.gain_min",      gate.gain_min, "0.0", -1, 1, "", CONF_RELOAD,
     "least gain of the challenger over the champion, share of windows; autoencode: of skill"),
REAL ("gate.forget_max",    gate.forget_max, "0.1", 0, 1, "", CONF_RELOAD,
     "loss allowed on windows of the old regime, share of windows; autoencode: of skill"),
REAL ("gate.int8_loss_max", gate.int8_loss_max, "0.02", 0, 1, "", CONF_RELOAD,
     "accuracy that int8 may cost, share of windows; autoencode: of skill"),
INT  ("rollout.canary",             rollout.canary, "1", 1, 200, "devices", CONF_RELOAD,
     "devices in the first step"),
INT  ("rollout.batch",              rollout.batch, "4", 1, 200, "devices", CONF_RELOAD,
     "devices at a time after it"),
INT  ("rollout.failures_max",       rollout.failures_max, "0", 0, 200, "devices", CONF_RELOAD,
     "failed devices that it bears after the canary; one more stops it and rolls back"),
INT  ("rollout.attempts",           rollout.attempts, "5", 1, 100, "", CONF_RELOAD,
     "attempts on one device before it has failed; sleep costs none"),
TIME ("rollout.retry",              rollout.retry_s, "1s", 0.1, 3600, CONF_RELOAD,
     "wait before the second attempt; doubles with each, up to 1h"),
TIME ("rollout.wait",               rollout.wait_s, "1h", 1, YEAR, CONF_RELOAD,
     "how long its end waits for devices that do not answer"),
INT  ("rollout.trial_inferences",   rollout.trial_inferences, "50", 1, 1000000, "", CONF_RELOAD,
     "clean inferences before the gateway confirms"),
TIME ("rollout.probation",          rollout.probation_s, "10min", 0, YEAR, CONF_RELOAD,
     "watch after the rollout"),
REAL ("rollout.probation_loss_max", rollout.probation_loss_max, "0.1", 0, 1, "", CONF_RELOAD,
     "drop of the labelled accuracy that rolls back; autoencode: of the share of normal windows"),
CONF_END
};
#undef ROW_OF

#define ROW_OF struct conf_device
static const struct conf_row device_rows[] = {
TEXT("name",   name, "pump-1", CONF_NAME | CONF_REQUIRED, "name of the device"),
TEXT("uid",    uid, "00a1b2c3d4e5f607", CONF_REQUIRED, "16 hex digits that the device reports"),
TEXT("source", source, "pump", CONF_REQUIRED,
     "name of its source, of type link; one device a source"),
TEXT("stream", stream, "vibration", CONF_REQUIRED, "stream that its samples belong to"),
TEXT("model",  model, "pump-state", CONF_REQUIRED, "model that it runs"),
INT ("group",  group, "0", 0, 255, "", 0,
     "group of a rollout; one begins when the one before it has proved itself"),
ENUM("telemetry", telemetry, "raw", telemetry_names, 0,
     "every window (raw), a summary each heartbeat (sketch), that and changes at once (exception)"),
TIME("heartbeat", heartbeat_s, "10min", 0.01, 86400, 0, "time between two sketches"),
TIME("keep_alive", keep_alive_s, "1s", 1, 3600, 0,
     "between two questions to a device that has nothing to do; three without an answer: offline"),
BOOL("signed", is_signed, "false", 0,
     "its firmware takes only packages with a signature by keys.sign"),
INT ("raw_every", raw_every, "0", 0, 65535, "windows", 0,
     "with sketches: every so many windows one is sent raw; 0 = none"),
INT ("pull",      pull, "200", 0, 65535, "windows", 0,
     "with sketches: raw windows that are asked for when the monitor alarms"),
CONF_END
};
#undef ROW_OF

#define ROW_OF struct conf
const struct conf_row conf_rows[] = {
TEXT("store.path",         store.path, "/var/lib/honed/honed.db", 0, "database file"),
TIME("store.commit_every", store.commit_every_s, "1s", 0.01, 600, 0,
     "time between two commits; longer spares flash, a power cut loses as much"),
TIME("store.retain",       store.retain_s, "30d", 60, 100 * YEAR, CONF_RELOAD,
     "age at which raw frames are deleted"),
SIZE("store.size_max",     store.size_max, "1GB", MB, 1024 * GB, CONF_RELOAD,
     "size at which the oldest frames are deleted"),
INT ("store.queue",        store.queue_frames, "8192", 64, 1048576, "frames", 0,
     "frames that may wait for the disk"),
TEXT("status.socket",      status.socket, "/run/honed/honed.sock", 0,
     "unix socket of the REST interface"),
INT ("status.port",        status.port, "0", 0, 65535, "", 0,
     "TCP port of the REST interface on 127.0.0.1; 0 = none"),
ENUM("log.level",          log.level, "info", log_level_names, CONF_RELOAD,
     "least important lines that are written"),
TEXT("train.helper",       train.helper, "", CONF_RELOAD,
     "path of hone-train; empty = the one that came with honed"),
TEXT("keys.master",        keys.master, "/etc/honed/master.key", 0,
     "file with the master key, 32 bytes or 64 hex digits"),
TEXT("keys.sign",          keys.sign, "", 0,
     "file with the Ed25519 key that signs packages (32 bytes, 64 hex digits, PEM), mode 0600; "
     "empty = none"),
INT ("keys.sign_id",       keys.sign_id, "0", 0, 255, "", 0,
     "number of that key in packages (key_id); a new key gets a new number"),
LIST("sources", sources, struct conf_source, n_sources, source_rows, 0, "where bytes come from"),
LIST("streams", streams, struct conf_stream, n_streams, stream_rows, 0,
     "channels that are sampled together"),
LIST("models",  models, struct conf_model, n_models, model_rows, 0,
     "networks and how they are kept fit"),
LIST("devices", devices, struct conf_device, n_devices, device_rows, 0,
     "microcontrollers that run a model"),
CONF_END
};

static const struct conf_driver *const no_drivers[] = { NULL };
static const struct conf_driver *const *drivers = no_drivers;

void conf_set_drivers(const struct conf_driver *const *list)
{
	for (int i = 0; list[i]; i++)
		for (int k = 0; list[i]->rows[k].key; k++)       /* bugs of a driver, not of a user */
			assert(k < 64 && list[i]->rows[k].off + list[i]->rows[k].size <=
			       CONF_DRIVER_BYTES);
	drivers = list;
}

const struct conf_driver *const *conf_driver_list(void)
{
	return drivers;
}
