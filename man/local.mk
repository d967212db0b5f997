# Manual pages. The key lists of dbsnapd.yaml(5) are printed by the very tables
# that the daemon parses by, with the defaults of this build's paths: the page
# is made by every build and not distributed.
noinst_PROGRAMS += man/print_keys
man_print_keys_SOURCES = man/print_keys.c
man_print_keys_CPPFLAGS = $(AM_CPPFLAGS) $(YAML_CFLAGS)
man_print_keys_LDADD = libcommon.a $(YAML_LIBS)

dist_man_MANS += man/dbsnap.1
man_MANS = man/dbsnapd.yaml.5
EXTRA_DIST += man/dbsnapd.yaml.5.in
CLEANFILES += man/dbsnapd.yaml.5 man/keys-daemon.mdoc man/keys-cluster.mdoc

man/keys-daemon.mdoc: man/print_keys$(EXEEXT)
	$(AM_V_GEN)man/print_keys$(EXEEXT) daemon >$@.tmp && mv $@.tmp $@

man/keys-cluster.mdoc: man/print_keys$(EXEEXT)
	$(AM_V_GEN)man/print_keys$(EXEEXT) cluster >$@.tmp && mv $@.tmp $@

man/dbsnapd.yaml.5: $(srcdir)/man/dbsnapd.yaml.5.in man/keys-daemon.mdoc man/keys-cluster.mdoc
	$(AM_V_GEN)$(SED) -e '/^@KEYS_DAEMON@$$/{r man/keys-daemon.mdoc' -e 'd;}' \
		-e '/^@KEYS_CLUSTER@$$/{r man/keys-cluster.mdoc' -e 'd;}' \
		-e 's|@sysconfdir[@]|$(sysconfdir)|g' -e 's|@docdir[@]|$(docdir)|g' \
		$(srcdir)/man/dbsnapd.yaml.5.in >$@.tmp && mv $@.tmp $@

dist_man_MANS += man/dbsnapd.8

dist_man_MANS += man/dbsnapd-api.7
