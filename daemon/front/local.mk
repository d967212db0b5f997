# daemon/front
EXTRA_DIST += \
	daemon/front/job.h daemon/front/quota.h daemon/front/record.h \
	daemon/front/store.h daemon/front/token.h
