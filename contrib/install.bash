# shellcheck shell=bash
# Read by quickstart and check: packages_install SECTION... installs what contrib/packages names there and this
# machine lacks; as_postgres COMMAND... runs something as a user that PostgreSQL accepts. The caller has set src.
: "${src:?}"

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

packages_missing() {
	local section=$1 name
	sed -n "/^\[$section\]/,/^\[/{/^[a-z]/p}" "$src/contrib/packages" | while read -r name; do
		if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
			say "$name"
		fi
	done
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Debian's package starts a cluster of its own when it is installed; nobody asked for that one.
no_main_cluster() {
	local dir=/etc/postgresql-common/createcluster.d
	as_root mkdir -p "$dir"
	printf 'create_main_cluster = false\n' | as_root tee "$dir/callbackd.conf" >/dev/null
}

# These packages start a service (nginx one on port 80), now and whenever the machine starts; we only want the programs.
no_services() {
	local policy=/usr/sbin/policy-rc.d service
	case $1 in
	before)
		[ ! -e $policy ] || return 0
		printf '#!/bin/sh\n# callbackd: nothing is started while its packages are installed\nexit 101\n' | as_root tee $policy >/dev/null
		as_root chmod 755 $policy
		;;
	after)
		for service in nginx etcd haproxy patroni; do
			case " ${missing[*]} " in
			*" $service"*) as_root update-rc.d "$service" disable >/dev/null 2>&1 || true ;;
			esac
		done
		! grep -q '^# callbackd:' $policy || as_root rm -f $policy
		;;
	esac
}

packages_install() {
	local section failed='' missing=()
	command -v dpkg-query >/dev/null || die "this is no Debian: install what contrib/packages names, by its names here"
	for section in "$@"; do
		mapfile -t -O "${#missing[@]}" missing < <(packages_missing "$section")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "Installing ${missing[*]}"
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		die "install these as root first: apt-get install ${missing[*]}"
	fi
	case " ${missing[*]} " in
	*' postgresql-15 '*) no_main_cluster ;;
	esac
	case " ${missing[*]} " in
	*' nginx-light '* | *' etcd-server '* | *' haproxy '* | *' patroni '*) no_services before ;;
	esac
	as_root apt-get update -qq &&
		as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
			apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
		failed=yes
	as_root rm -f /etc/postgresql-common/createcluster.d/callbackd.conf
	case " ${missing[*]} " in
	*' nginx-light '* | *' etcd-server '* | *' haproxy '* | *' patroni '*) no_services after ;;
	esac
	[ -z "$failed" ] || die "apt-get could not install these: ${missing[*]}"
}

# PostgreSQL refuses to be run by root.
as_postgres() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
	else
		"$@"
	fi
}
