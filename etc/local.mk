# Sample configuration. Nothing of it is installed where it would be read: an
# upgrade must not replace, nor a removal delete, what an administrator wrote.
examplesdir = $(docdir)/examples
exampleclustersdir = $(examplesdir)/clusters.d
examplepoliciesdir = $(examplesdir)/policies.d
nodist_examples_DATA = etc/dbsnapd.yaml
dist_examples_DATA = etc/access_keys.yaml
dist_exampleclusters_DATA = etc/clusters.d/pc-orders.yaml
dist_examplepolicies_DATA = etc/policies.d/10-dba.yaml
EXTRA_DIST += etc/dbsnapd.yaml.in
CLEANFILES += etc/dbsnapd.yaml

etc/dbsnapd.yaml: $(srcdir)/etc/dbsnapd.yaml.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc && $(SED) -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
		-e 's|@localstatedir[@]|$(localstatedir)|g' $(srcdir)/etc/dbsnapd.yaml.in >$@.tmp && mv $@.tmp $@
