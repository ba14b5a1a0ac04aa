// Signals, starts and ends of the traced processes.
#pragma once

#include "calls.bpf.h"
#include "common.bpf.h"
#include "mappings.bpf.h"

#define SIGKILL 9
#define SIGCHLD 17

static __always_inline __u64 call_of_current(void) {
  const __u32 tid = (__u32)bpf_get_current_pid_tgid();
  const struct call_state* call = state_of(tid);
  return call && call->number != PROBE_NO_CALL ? call->id : 0;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal_generated, int signal, struct kernel_siginfo* info, struct task_struct* task, int group,
             int result) {
  const __u32 tgid = task->tgid;
  if (signal == SIGCHLD || !is_traced(tgid)) return 0;
  struct probe_signal* record = RESERVE(probe_signal, PROBE_SIGNAL);
  if (!record) return 0;
  record->signal = signal;
  record->delivered = 0;
  record->to_tid = task->pid;
  record->to_tgid = tgid;
  record->result = result;
  record->code = 0;
  // SEND_SIG_NOINFO and SEND_SIG_PRIV are the numbers 0 and 1 in the place of a pointer.
  if ((__u64)info > 1) record->code = BPF_CORE_READ(info, si_code);
  // One for the process goes to another of its threads, if that does not block it.
  record->blocked = !group && (task->blocked.sig[0] >> ((signal - 1) & 63)) & 1;
  record->reserved = 0;
  record->handler = 0;
  record->call = record->head.tid == record->to_tid ? call_of_current() : 0;
  SUBMIT(record);
  return 0;
}

#define SIGNAL_GROUP_EXIT 4  // include/linux/sched/signal.h

// SIGKILL is how the kernel has the threads of a process end (get_signal()): for execve() and exit_group(), which nobody sent, and for
// whatever signal ends the process (complete_signal()). That signal; 0: none was sent.
static __always_inline int signal_behind_kill(void) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  if (bpf_core_field_exists(struct signal_struct, group_exec_task) &&
      BPF_CORE_READ(task, signal, group_exec_task) != NULL)
    return 0;
  if (!(BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)) return SIGKILL;
  return BPF_CORE_READ(task, signal, group_exit_code) & 0x7f;
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(on_signal_delivered, int signal, struct kernel_siginfo* info, struct k_sigaction* action) {
  const __u32 tgid = bpf_get_current_pid_tgid() >> 32;
  if (signal == SIGCHLD || !is_traced(tgid)) return 0;
  if (signal == SIGKILL) signal = signal_behind_kill();
  if (signal == 0) return 0;
  struct probe_signal* record = RESERVE(probe_signal, PROBE_SIGNAL);
  if (!record) return 0;
  record->signal = signal;
  record->delivered = 1;
  record->to_tid = record->head.tid;
  record->to_tgid = tgid;
  record->result = 0;
  record->code = 0;
  record->blocked = record->reserved = 0;
  record->handler = (__u64)BPF_CORE_READ(action, sa.sa_handler);
  record->call = call_of_current();
  SUBMIT(record);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct* parent, struct task_struct* child) {
  const __u32 parent_tgid = parent->tgid, child_tgid = child->tgid;
  if (!is_traced(parent_tgid)) return 0;
  if (child_tgid != parent_tgid) trace_process(child_tgid);
  struct probe_process* record = RESERVE(probe_process, PROBE_FORK);
  if (!record) return 0;
  record->child_tid = child->pid;
  record->child_tgid = child_tgid;
  record->parent = parent_tgid;
  record->exit_code = 0;
  record->call = 0;
  record->threads = record->reserved = 0;
  bpf_get_current_comm(record->comm, sizeof(record->comm));
  SUBMIT(record);
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct* task) {
  const __u32 tgid = bpf_get_current_pid_tgid() >> 32;
  if (!is_traced(tgid)) return 0;
  struct probe_process* record = RESERVE(probe_process, PROBE_EXEC);
  if (!record) return 0;
  record->child_tid = record->head.tid;
  record->child_tgid = tgid;
  record->parent = 0;
  record->exit_code = 0;
  record->call = 0;
  record->threads = record->reserved = 0;
  bpf_get_current_comm(record->comm, sizeof(record->comm));
  SUBMIT(record);
  tell_mapped_by_exec(task);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct* task) {
  const __u32 tgid = task->tgid, tid = task->pid;
  if (!is_traced(tgid)) return 0;
  tell_unfinished_call(tid);
  struct probe_process* record = RESERVE(probe_process, PROBE_EXIT);
  if (!record) return 0;
  record->child_tid = tid;
  record->child_tgid = tgid;
  record->parent = 0;
  record->exit_code = task->exit_code;
  record->threads = BPF_CORE_READ(task, signal, live.counter);
  record->reserved = 0;
  record->call = call_of_current();
  bpf_get_current_comm(record->comm, sizeof(record->comm));
  forget_state(tid);
  bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
  return 0;
}
