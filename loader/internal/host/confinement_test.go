// SPDX-License-Identifier: Apache-2.0
package host

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLabelsOfSecurityModules(t *testing.T) {
	for _, test := range []struct{ label, appArmor, seLinux string }{
		{"", "", ""},
		{"unconfined", "", ""},
		{"docker-default (enforce)", "docker-default", ""},
		{"cri-containerd.apparmor.d (enforce)", "cri-containerd.apparmor.d", ""},
		{":lxd:docker-default (kill)", ":lxd:docker-default", ""},
		{"a//&b (mixed)", "a//&b", ""},
		{"docker-default (complain)", "", ""},
		{"crun (unconfined)", "", ""},
		{"system_u:system_r:container_t:s0:c1,c2", "", "container_t"},
		{"system_u:system_r:container_t", "", "container_t"},
		{"system_u:system_r:spc_t:s0", "", ""},
		{"unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", "", ""},
	} {
		if got := enforcedProfile(test.label); got != test.appArmor {
			t.Errorf("AppArmor in %q: %q, want %q", test.label, got, test.appArmor)
		}
		if got := confinedType(test.label); got != test.seLinux {
			t.Errorf("SELinux in %q: %q, want %q", test.label, got, test.seLinux)
		}
	}
}

func TestARefusalNamesItsMechanismAndTheLineThatPermitsIt(t *testing.T) {
	mkdir := func(errno error) error {
		return fmt.Errorf("make the pin directory: %w", &fs.PathError{Op: "mkdir", Path: "/sys/fs/bpf/whodunit", Err: errno})
	}
	appArmor, seLinux := Confinement{AppArmor: "docker-default"}, Confinement{SELinux: "container_t"}
	for _, test := range []struct {
		name       string
		confined   Confinement
		err        error
		mechanism  string
		permission string
	}{
		{"AppArmor", appArmor, mkdir(unix.EACCES), "AppArmor profile docker-default", "appArmorProfile: {type: Unconfined}"},
		{"AppArmor, a capability", appArmor, mkdir(unix.EPERM), "AppArmor profile docker-default", "apparmor=unconfined"},
		{"SELinux", seLinux, mkdir(unix.EACCES), "SELinux type container_t", "seLinuxOptions: {type: spc_t}"},
		{"a mount that is read-only", appArmor, mkdir(unix.EROFS), "read-only", "--volume /sys/fs/bpf:/sys/fs/bpf"},
		{"a user namespace", Confinement{UserNamespace: true, AppArmor: "x"}, unix.EPERM, "user namespace", "hostUsers: true"},
		{"seccomp", Confinement{DeniesBPF: true}, unix.EPERM, "seccomp", "seccompProfile: {type: Unconfined}"},
		{"seccomp, one command of bpf(2)", Confinement{Seccomp: true}, unix.EPERM, "may forbid", "seccomp=unconfined"},
		{"a user that is not root", Confinement{UID: 65532}, mkdir(unix.EACCES), "user 65532", "runAsUser: 0"},
		{"pins of another user, in a container", Confinement{ObeysModes: true}, mkdir(unix.EACCES), "CAP_DAC_OVERRIDE", "chown -hR root:"},
		{"no confinement", Confinement{}, mkdir(unix.EACCES), "", ""},
		{"SELinux does not answer with EPERM", seLinux, mkdir(unix.EPERM), "", ""},
		{"an error of another kind", appArmor, mkdir(unix.ENOSPC), "", ""},
	} {
		got := test.confined.Explain(test.err)
		if got != "" {
			got = fmt.Sprintf("%v; %s", test.err, got)
		}
		if !strings.Contains(got, test.mechanism) || !strings.Contains(got, test.permission) || (test.mechanism == "") != (got == "") || strings.Contains(got, "\n") {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
