# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# apt with a memory of its own: other suites than this machine's can be looked into
# without touching what it is set up for. After tests/vm/lib.sh.

# apt_begin DIRECTORY STATUS LINE...: LINE is "deb|deb-src SUITE"; STATUS a dpkg
# status file that says what is installed (/dev/null: nothing is).
apt_begin() {
	local status=$2 line uri key
	apt_dir=$(mkdir -p "$1" && cd "$1" && pwd -P)
	shift 2
	uri=$(mirror)
	for key in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[[ ! -e $key ]] || break
	done
	mkdir -p "$apt_dir/lists/partial" "$apt_dir/archives/partial"
	cp "$status" "$apt_dir/status"
	for line; do
		echo "${line%% *} [signed-by=$key] $uri ${line#* } main"
	done >"$apt_dir/sources.list"
	cat >"$apt_dir/conf" <<END
Dir::State "$apt_dir";
Dir::State::Lists "$apt_dir/lists";
Dir::State::status "$apt_dir/status";
Dir::Cache "$apt_dir";
Dir::Cache::archives "$apt_dir/archives";
Dir::Etc::sourcelist "$apt_dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
END
	apt_own update
}

apt_own() {
	APT_CONFIG=$apt_dir/conf apt-get -c "$apt_dir/conf" -y "$@"
}
