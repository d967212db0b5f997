# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# How the demo's steps are undone; each succeeds if there is nothing left to undo.

# stop_process PID NAME: TERM, then KILL after 10 s; only while PID still is NAME.
stop_process() {
	local n
	[ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ] || return 0
	kill -TERM "$1" 2>/dev/null || return 0
	for n in {1..100}; do
		[ -d "/proc/$1" ] && [[ $(cat "/proc/$1/stat" 2>/dev/null) != *") Z "* ]] || return 0
		sleep 0.1
	done
	echo "demo: $2 ($1) did not end in ${n}00 ms, killed" >&2
	kill -KILL "$1" 2>/dev/null || :
}

stop_postgresql() {
	[ -e "$1/postmaster.pid" ] || return 0
	local as=() pg_ctl
	[ "$(id -u)" != 0 ] || as=(setpriv --reuid postgres --regid postgres --init-groups)
	pg_ctl=$(find /usr/lib/postgresql -path '*/bin/pg_ctl' 2>/dev/null | sort -V | tail -n 1)
	"${as[@]}" "${pg_ctl:-pg_ctl}" -D "$1" -w -s -m immediate stop
}

# What rm would not enter, or not remove: the subvolumes of a btrfs that is not ours to unmount.
clear_subvolumes() {
	local path
	[ "$(stat -f -c %T "$1" 2>/dev/null)" = btrfs ] || return 0
	find "$1" -depth -type d -inum 256 | while read -r path; do
		btrfs property set -ts "$path" ro false 2>/dev/null
		rm -rf "$path"
	done
}

unmount() {
	mountpoint -q "$1" || return 0
	local n
	for n in {1..50}; do
		umount "$1" 2>/dev/null && return 0
		sleep 0.1
	done
	echo "demo: $1 was busy for $((n / 10)) s" >&2
	umount --lazy "$1"
}

remove_user() {
	getent passwd "$1" >/dev/null || return 0
	userdel "$1"
}
