# hd_stage.c: a confirmation does not raise the floor
s/note(d, HD_REC_CONFIRMED, d->slots.active, version);/note(d, HD_REC_CONFIRMED, d->slots.active, version ? d->slots.floor : 0);/
