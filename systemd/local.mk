# SPDX-License-Identifier: GPL-3.0-or-later
# Units, sysusers and tmpfiles; configure says where they go.
unit_DATA = systemd/dbsnapd.service systemd/dbsnapd.socket
sysusers_DATA = systemd/sysusers.d/dbsnap.conf
tmpfiles_DATA = systemd/tmpfiles.d/dbsnap.conf

EXTRA_DIST += systemd/dbsnapd.service.in systemd/dbsnapd.socket \
	systemd/sysusers.d/dbsnap.conf systemd/tmpfiles.d/dbsnap.conf.in
CLEANFILES += systemd/dbsnapd.service systemd/tmpfiles.d/dbsnap.conf

systemd_subst = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g'

systemd/dbsnapd.service: $(srcdir)/systemd/dbsnapd.service.in Makefile
	$(systemd_subst) $(srcdir)/systemd/dbsnapd.service.in >$@

systemd/tmpfiles.d/dbsnap.conf: $(srcdir)/systemd/tmpfiles.d/dbsnap.conf.in Makefile
	$(systemd_subst) $(srcdir)/systemd/tmpfiles.d/dbsnap.conf.in >$@
