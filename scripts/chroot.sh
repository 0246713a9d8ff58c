# shellcheck shell=bash
# chroot.sh - a bare Debian 12 in a temporary folder, for scripts that try things in one.
#
# Sourced after lib.sh.  The mirrors and apt's settings are the host's own.  Needs root,
# debootstrap and the right to chroot and mount.

SUITE=bookworm
work='' keep=false

# "URI SUITE COMPONENT" of every Debian archive that this host's apt knows.
host_archives() {
    # shellcheck disable=SC2016  # apt expands these
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' |
        awk -v suite="$SUITE" '$1 == "Debian" && index($3, suite) == 1 {
            print $2, $3, $4 }' | sort -u
}

# check_host [TOOL...]: may we, and do we have what we need, and these?
check_host() {
    local tool
    for tool in debootstrap chroot mount apt-get unshare "$@"; do
        command -v "$tool" >/dev/null || die "needs $tool"
    done
    [[ $(id -u) == 0 ]] || die "needs root: chroot and mount"
    unshare --mount true 2>/dev/null ||
        die "may not mount here (no CAP_SYS_ADMIN, as in most containers)"
    [[ -n $(host_archives) ]] ||
        die "this host's apt knows no $SUITE archive (try apt-get update)"
}

bootstrap() {
    local mirror opts=() extra=()
    mirror=$(host_archives | awk -v suite="$SUITE" '$2 == suite { print $1; exit }')
    [[ -n $mirror ]] || die "this host's apt knows no main archive of $SUITE"
    [[ $mirror != https:* ]] || extra+=(--include=ca-certificates)
    opts=(--variant=minbase "${extra[@]}" "$SUITE" "$work/root" "$mirror")
    quietly "$work/debootstrap.log" debootstrap "${opts[@]}"
}

# apt works inside as it does outside: same archives, proxies and certificates.
copy_apt_settings() {
    local etc=$work/root/etc
    host_archives | awk '{ print "deb", $1, $2, $3 }' >"$etc/apt/sources.list"
    cp -a /etc/apt/apt.conf.d/. "$etc/apt/apt.conf.d/"
    if [[ -e /etc/apt/apt.conf ]]; then cp /etc/apt/apt.conf "$etc/apt/"; fi
    if [[ -d /etc/apt/keyrings ]]; then cp -a /etc/apt/keyrings "$etc/apt/"; fi
    cp -an /usr/share/keyrings/. "$work/root/usr/share/keyrings/"
    cp -L /etc/resolv.conf /etc/hosts "$etc/" 2>/dev/null || true
    if [[ -e /etc/ssl/certs/ca-certificates.crt && -d $etc/ssl/certs ]]; then
        cp -L /etc/ssl/certs/ca-certificates.crt "$etc/ssl/certs/"
    fi
}

# inside DIR COMMAND...: in a mount namespace of its own, so that mounts end with the
# processes inside, whatever happens.
inside() {
    # shellcheck disable=SC2016  # expands inside
    unshare --mount --pid --fork --kill-child --propagation private bash -euc '
        root=$1 dir=$2
        shift 2
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=755 tmpfs "$root/dev"
        for node in null zero full random urandom tty; do
            touch "$root/dev/$node"
            mount --bind "/dev/$node" "$root/dev/$node"
        done
        mkdir "$root/dev/pts"
        mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
        ln -s pts/ptmx "$root/dev/ptmx"
        ln -s /proc/self/fd "$root/dev/fd"
        ln -s fd/0 "$root/dev/stdin"
        ln -s fd/1 "$root/dev/stdout"
        ln -s fd/2 "$root/dev/stderr"
        mkdir "$root/dev/shm"
        mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
        exec chroot "$root" env -i HOME=/root TERM="${TERM:-dumb}" \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            sh -c "cd \"\$0\" && exec \"\$@\"" "$dir" "$@"
    ' inside "$work/root" "$@" </dev/null
}

cleanup() {
    if $keep; then
        say "kept: $work/root"
    elif [[ -n $work ]]; then
        rm -rf --one-file-system "$work"
    fi
}

# start_chroot: an empty one in $work/root, gone at the end, whatever happens.
start_chroot() {
    work=$(mktemp -d -t moonlatch-chroot.XXXXXX)
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    step "bootstrapping $SUITE"
    bootstrap
    copy_apt_settings
}
