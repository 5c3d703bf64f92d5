# hd_stage.c: one sector too few of the spare slot is erased
s/(HD_PACKAGE_HEADER + payload_len + sector - 1)/(HD_PACKAGE_HEADER + payload_len - 1)/
