/* job.h - what the supervisor and hone-train say to each other.
 *
 * To hone-train, on stdin, one JSON object, then end of file:
 *   job        id of the job                     model    its name
 *   db         path of the database              now_us   present time
 *   task       "classify" ...                    classes  number of classes
 *   window, hop, network, streams [names], period_s (0 = irregular)
 *   since_us   windows that end at or after this are "recent": the new regime
 *   champion   version id to compare with, 0 = none; the fit begins with fresh weights
 *   train      { epochs, batch, patience, seed, rate, weight_decay, smoothing, holdout,
 *                holdout_recent, recent_share, scaler_frames, schedule (0 constant, 1 cosine),
 *                memory_max, checkpoint_s (seconds between two checkpoints),
 *                quantise (0 after the fit, 1 train on for int8), rounding (0 double, 1 single) }
 *   dry_run    true: only the plan
 *   import     { path, scale [], offset [] }: a net from this file instead of a fit; what the
 *              channels' counts mean (optional)
 *   checkpoint path of the file that the fit is kept in, "" = none
 * From hone-train, on stdout, framed messages (proc.h) of these types and no others: */
#ifndef JOB_H
#define JOB_H

enum job_message {
	JOB_PLAN = 1,     /* { bytes, params, windows: {train, valid, holdout}, labels }          */
	JOB_PROGRESS = 2, /* { epoch, epochs, loss, valid_loss, valid_accuracy, gradient_norm }    */
	JOB_CANDIDATE = 3,/* version blob (hn_model.h)                                            */
	JOB_REPORT = 4,   /* see docs/jobs.md; the gate decides from it                           */
	JOB_FAILED = 5,   /* { reason, advice }                                                   */
	JOB_RESUMED = 6   /* { step, epoch } of the checkpoint it goes on from, or { refused: why } */
};

/* REPORT:
 *   sets: { recent: {n, champion, challenger, both}, kept: {n, champion, challenger, both} }
 *         held-back windows and how many of them each got right with its int8 image
 *   recent_trained   true: the recent windows were in the fit; then their counts only say that they
 *         were learned (train.holdout_recent is 0)
 *   float_right, int8_right   challenger, all held-back windows
 *   majority                  held-back windows of the most frequent class
 *   confusion                 [classes][classes], row = truth, challenger int8, held-back
 *   windows {train, valid, holdout, refused}, labels, label_hash, t0_us, t1_us,
 *   plan_bytes, peak_bytes, epochs, seconds, best_epoch, seed
 *   int8      what quantisation did, layer by layer: docs/jobs.md */
#endif
