/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Puts a cluster file in its place, and lets dbsnapd itself judge the configuration. */
#ifndef DBSNAP_CLIENT_INSTALL_H
#define DBSNAP_CLIENT_INSTALL_H

enum install_check {
	INSTALL_GOOD,
	INSTALL_REFUSED,  /* its errors went to standard error */
	INSTALL_UNCHECKED /* no dbsnapd to ask */
};

/* Where the caller's dbsnapd looks for cluster files by default: root's, or a user's own. The caller's; NULL: no. */
char *install_clusters_dir(void);
/*
 * Writes file (in dir, which is made with those above it if it is missing) whole or not at all,
 * mode 0644, and never over another. 0 or a negative code, told on standard error.
 */
int install_write_file(const char *dir, const char *file, const char *text);
/* Runs "dbsnapd -t", with -c config unless that is NULL. Blocks until it has ended. */
enum install_check install_check_config(const char *config);

#endif
