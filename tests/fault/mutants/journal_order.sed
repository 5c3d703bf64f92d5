# hd_slots.c: the last record by place counts, not by number
s/|| r\[SEQ\] <= last\[SEQ\])/|| r[SEQ] == 0)/
