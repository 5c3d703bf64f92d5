# hd_slots.c: the journal is read up to the first bad record
s/^\t\t\tcontinue;/\t\t\tbreak;/
