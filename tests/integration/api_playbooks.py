# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks and modules of the small collection on which the Python API is tried out."""

from __future__ import annotations

HEARTBEAT = """
import os, signal, sys, time
from ansible.module_utils.basic import AnsibleModule

def beat(path):
    while True:
        with open(path, "w") as stream:
            stream.write(str(os.getpid()))
        time.sleep(0.05)

def main():
    module = AnsibleModule(argument_spec={"folder": {"type": "str", "required": True}, "stubborn": {"type": "bool", "default": False}})
    folder = module.params["folder"]
    if module.params["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            beat(os.path.join(folder, "orphan"))
        os._exit(0)
    os.wait()
    beat(os.path.join(folder, "module"))

main()
"""

LOGIN = """
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"password": {"type": "str", "no_log": True}, "fail": {"type": "bool", "default": False}})
    if module.params["fail"]:
        module.fail_json(msg="The server refused the login of alice with %s. Next: correct the password." % module.params["password"])
    module.exit_json(changed=False)

main()
"""

SWAP = """
import os, signal, subprocess, time
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"folder": {"type": "str", "required": True}})
    folder = module.params["folder"]
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(os.path.join(folder, "swapping"), "w").close()
        subprocess.check_call(["sleep", "1.5"])
        open(os.path.join(folder, "swapped"), "w").close()
        os._exit(0)
    os.wait()
    module.exit_json(changed=True)

main()
"""

SERVE = """
import subprocess
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"folder": {"type": "str", "required": True}})
    server = ["env", "-u", "SRE_RUNBOOKS_RUN_ID", "sh", "-c", "echo $$ > %s/server; exec sleep 60" % module.params["folder"]]
    subprocess.Popen(server, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    module.exit_json(changed=True)

main()
"""

DUMP = """
import json, os, time
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"pause_s": {"type": "float", "default": 0.3}})
    for done in (0, 50, 100):
        with open(os.environ["SRE_RUNBOOKS_PROGRESS_FILE"], "a") as stream:
            line = {"work": "Dumping reference", "step": "orders", "done": done * 1e6, "total": 1e8, "unit": "bytes", "time": time.time()}
            stream.write(json.dumps(line) + "\\n")
        time.sleep(module.params["pause_s"])
    module.exit_json(changed=True)

main()
"""

PLAYBOOKS = {
    "greet": """
        - name: Greet
          hosts: all
          gather_facts: false
          tasks:
            - name: Say the greeting
              ansible.builtin.debug:
                msg: "{{ greeting | default('hello') }}"
            - name: Write it down
              ansible.builtin.copy:
                content: "{{ greeting | default('hello') }}\\n"
                dest: "{{ folder }}/greeting"
                mode: "0600"
            - name: Leave this out
              ansible.builtin.debug:
              when: false
        """,
    "refuse": """
        - name: Refuse
          hosts: all
          gather_facts: false
          tasks:
            - name: Try something that may fail
              ansible.builtin.fail:
                msg: not this one
              ignore_errors: true
            - name: Find the backup set
              ansible.builtin.fail:
                msg: "No backup set is there (/backups). Next: run the procedure backup."
        """,
    "beat": """
        - name: Beat
          hosts: all
          gather_facts: false
          tasks:
            - name: Beat for ever
              sre.runbooks.heartbeat:
                folder: "{{ folder }}"
                stubborn: "{{ stubborn | default(false) }}"
            - name: Never reached
              ansible.builtin.copy:
                content: reached
                dest: "{{ folder }}/reached"
                mode: "0600"
        """,
    "login": """
        - name: Log in
          hosts: all
          gather_facts: true
          tasks:
            - name: Log in properly
              sre.runbooks.login:
                password: "{{ db_password }}"
            - name: Forget what must not be shown
              ansible.builtin.debug:
                msg: "the password is {{ db_password }}"
            - name: Log in and fail
              sre.runbooks.login:
                password: "{{ db_password }}"
                fail: true
        """,
    "swap": """
        - name: Swap
          hosts: all
          gather_facts: false
          tasks:
            - name: Swap two folders
              sre.runbooks.swap:
                folder: "{{ folder }}"
            - name: Never reached
              ansible.builtin.copy:
                content: reached
                dest: "{{ folder }}/reached"
                mode: "0600"
        """,
    "serve": """
        - name: Serve
          hosts: all
          gather_facts: false
          tasks:
            - name: Start the server
              sre.runbooks.serve:
                folder: "{{ folder }}"
            - name: Beat for ever
              sre.runbooks.heartbeat:
                folder: "{{ folder }}"
        """,
    "dump": """
        - name: Dump
          hosts: all
          gather_facts: false
          tasks:
            - name: Dump the database
              sre.runbooks.dump:
                pause_s: 0.4
        """,
    "configured": """
        - name: Look at the configuration
          hosts: all
          gather_facts: false
          tasks:
            - name: Ask for host key checking
              ansible.builtin.copy:
                content: "{{ lookup('ansible.builtin.config', 'HOST_KEY_CHECKING') }}"
                dest: "{{ folder }}/configured"
                mode: "0600"
        """,
}

CATALOGUE = """
---
procedures:
  greet: {title: Say hello, changes: changes, required_variables: [folder], inverse: forget, requirements: [A1, B2]}
  refuse: {title: Fail on purpose, changes: reads}
  beat: {title: Never end, changes: destroys}
  login: {title: Handle a secret, changes: reads, required_variables: [db_password]}
  swap: {title: Finish what must not be cut short, changes: changes}
  serve: {title: Start a server, changes: changes}
  dump: {title: Report progress, changes: reads}
  configured: {title: Show the configuration, changes: reads}
"""

INVENTORY = """
all:
  hosts:
    app1:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
  vars:
    folder: "{{ lookup('ansible.builtin.env', 'TRIAL_FOLDER') }}"
"""


FRAMED = """
- name: Frame
  hosts: all
  gather_facts: false
  tasks:
    - name: Frame the work
      block:
        - name: Begin the procedure
          ansible.builtin.import_role:
            name: sre.runbooks.procedure
            tasks_from: begin
          vars:
            procedure_name: framed
            procedure_target: reference
            procedure_resource: trial:reference
        - name: Do the work
          ansible.builtin.command: "true"
          changed_when: true
        - name: Beat for ever
          ansible.builtin.command: sleep 60
          when: endless | default(false) | bool
          changed_when: true
        - name: Check the work
          ansible.builtin.fail:
            msg: "The work is not good (reference). Next: do it again."
          when: spoiled | default(false) | bool
        - name: Finish the procedure
          ansible.builtin.import_role:
            name: sre.runbooks.procedure
            tasks_from: finish
          vars:
            procedure_measurements: {rto_s: 12.5}
            procedure_targets: {rto_s: 3600}
      rescue:
        - name: Finish the procedure that failed
          ansible.builtin.import_role:
            name: sre.runbooks.procedure
            tasks_from: fail
"""
