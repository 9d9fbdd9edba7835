/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "crash_calibration.h"
#include "crash_slot.h"
#include "event.h"
#include "maps.h"
#include "program_maps.h"
#include "repeat_key.h"
#include "signals.h"

/* The types that Go uses but no map or variable refers to. Naming them here puts them into the object's BTF, for bpf2go. */
const union {
	enum event_abi event_abi;
	enum event_flag event_flag;
	enum tool_kind tool_kind;
	enum program_flag program_flag;
	struct executed_tool executed_tool;
	struct init_signal init_signal;
	struct listed_program listed_program;
	enum part_kind part_kind;
	enum part_flag part_flag;
	enum status_mask status_mask;
	enum uid_value uid_value;
	enum siginfo_kind siginfo_kind;
	enum siginfo_code siginfo_code;
	enum signal_number signal_number;
	enum signal_action signal_action;
	enum signal_set signal_set;
	enum task_flag task_flag;
	enum pending_counts_slot pending_counts_slot;
	enum cgroup_hierarchy cgroup_hierarchy;
	enum cgroup_limit cgroup_limit;
	enum repeat_flag repeat_flag;
	enum repeat_outcome repeat_outcome;
	enum claims_value claims_value;
	struct repeat_key repeat_key;
	struct event event;
	struct origin origin;
	struct part part;
	struct ancestor ancestor;
	struct thread_context thread_context;
	struct credentials credentials;
	enum crash_slot_state crash_slot_state;
	enum crash_capture crash_capture;
	enum mapping_place mapping_place;
	struct crash_reference crash_reference;
	struct calibration calibration;
} *go_types __attribute__((unused));
