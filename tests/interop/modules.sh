# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# Unloading and loading the driver that is under test.

netdev=$(cat "/sys/class/infiniband/$device/ports/1/gid_attrs/ndevs/0" 2>/dev/null || echo dummy0)
modules=(rdma_rxe)
[[ -d /sys/module/rdma_odp ]] && modules+=(rdma_odp)

# With lockdep every queue pair's socket has a lock class of rdma_rxe's, and so
# a reference to it; the one of the management queue pair (GSI) always stays.
lockdep_references() {
	[[ -e /proc/lockdep ]] || { echo 0; return; }
	rdma resource show qp | grep -c .
}

unused() {
	local module count
	for module in "${modules[@]}"; do
		count=$(cat "/sys/module/$module/refcnt")
		case $module in
		rdma_odp) count=$((count - 1)) ;; # rdma_rxe itself
		rdma_rxe) ((count == 0)) || count=$((count - $(lockdep_references))) ;;
		esac
		echo "$module: $count references"
		((count == 0)) || return 1
	done
}

# Who may have the device open, for the reader of a failure.
holders() {
	rdma resource show
	rdma resource show qp | grep -v GSI
	rdma resource show mr
	fuser -v /dev/infiniband/* 2>&1
	ps -eo pid,ppid,stat,wchan:32,args | grep -v '\]$'
}

# Objects of the last test may be on their way out through a grace period.
unused_soon() {
	local tries=$(limit 50)
	until unused >/dev/null; do
		((--tries)) || { unused; holders; return 1; }
		sleep 0.2
	done
}

unload() {
	rdma link delete "$device" || return 1
	timeout "$(limit 60)" modprobe -r "${modules[@]}" || return 1
	local module
	for module in "${modules[@]}"; do
		if [[ -d /sys/module/$module ]]; then
			echo "$module is still loaded, references: $(cat "/sys/module/$module/refcnt")"
			return 1
		fi
	done
}

# load [FILE]: whatever modprobe chooses, or the driver in that file.
load() {
	local needed
	if (($#)); then
		for needed in $(modinfo -F depends "$1" | tr , ' '); do
			modprobe "$needed" || return 1
		done
		insmod "$1" || return 1
	else
		modprobe rdma_rxe || return 1
	fi
	rdma link add "$device" type rxe netdev "$netdev" || return 1
	local tries=$(limit 50)
	until [[ -c /dev/infiniband/uverbs0 ]] && gid_index >/dev/null 2>&1; do
		((--tries)) || { echo "$device did not come back"; return 1; }
		sleep 0.1
	done
	chmod 666 /dev/infiniband/*
}
