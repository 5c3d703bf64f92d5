# hd_slots.c: records lie closer than they are long
s/next = at + HD_RECORD;/next = at + HD_RECORD \/ 2;/
s/at += HD_RECORD/at += HD_RECORD \/ 2/
