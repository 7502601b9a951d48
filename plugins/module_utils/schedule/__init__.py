# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The schedule of a profile.

`timetable.parse` reads its times, `moments.next_runs` tells their moments, `entry.entries_of` reads its entries; then what cron, systemd,
AWX and Semaphore are given for them, the start of a run, and whether every run took place.
"""
