#include "trace/bpf/hooks.h"

#include <array>

namespace tcpwhy::trace {
namespace {

constexpr HookProgram sys_enter[] = {{"on_sys_enter", "sys_enter", 2}};
constexpr HookProgram sys_exit[] = {{"on_sys_exit", "sys_exit", 2}};
constexpr HookProgram segments[] = {{"on_segment", "net_dev_queue"}};
constexpr HookProgram states[] = {{"on_state", "inet_sock_set_state", 3}};
constexpr HookProgram resets_sent[] = {{"on_reset_sent", "tcp_send_reset", 3},
                                       {"on_reset_sent_without_reason",
                                        "tcp_send_reset",
                                        2,
                                        12,
                                        {"reasons of resets (Linux 6.10)", "复位的原因（Linux 6.10）"}}};
constexpr HookProgram resets_received[] = {{"on_reset_received", "tcp_receive_reset"}};
constexpr HookProgram socket_errors[] = {{"on_socket_error", "inet_sk_error_report"}};
constexpr HookProgram ends_of_sockets[] = {{"on_destroyed", "tcp_destroy_sock"}};
// kfree_skb without a reason (before 5.17) tells nothing.
constexpr HookProgram drops[] = {{"on_drop", "kfree_skb", 4},
                                 {"on_drop_without_socket",
                                  "kfree_skb",
                                  3,
                                  12,
                                  {"the socket of a drop (Linux 6.11)", "丢弃报文所属的套接字（Linux 6.11）"}}};
constexpr HookProgram signals_generated[] = {{"on_signal_generated", "signal_generate", 5}};
constexpr HookProgram signals_delivered[] = {{"on_signal_delivered", "signal_deliver", 3}};
constexpr HookProgram forks[] = {{"on_fork", "sched_process_fork", 2}};
constexpr HookProgram programs_started[] = {{"on_exec", "sched_process_exec"}};
constexpr HookProgram ends_of_processes[] = {{"on_exit", "sched_process_exit"}};
// Before 6.0 io_uring_submit_sqe hands over the ring instead of the request, and more than two arguments.
constexpr HookProgram operations[] = {{"on_operation_submitted", "io_uring_submit_req"},
                                      {"on_entry_submitted", "io_uring_submit_sqe", 2, 2}};
constexpr HookProgram refused_operations[] = {{"on_operation_refused", "io_uring_req_failed", 3}};
constexpr HookProgram operations_at_work[] = {{"on_operation_begins", "io_uring_file_get", 2, 2}};
// As many arguments, and others, has io_uring_complete before 5.15.
constexpr HookProgram operations_completed[] = {
    {"on_operation_completed", "io_uring_complete", 3, 3, {}, "io_uring_submit_req"},
    {"on_operation_completed_by_value", "io_uring_complete", 5}};
constexpr HookProgram completions_that_wait[] = {{"on_completion_waits", "io_uring_cqe_overflow", 5}};

constexpr auto rows = std::to_array<Hook>({
    {{"system calls", "系统调用"}, HookUse::calls, sys_enter},
    {{"results of system calls", "系统调用的结果"}, HookUse::calls, sys_exit},
    {{"causes of segments", "报文段的原因"}, HookUse::segments, segments},
    {{"changes of state", "状态变化"}, HookUse::always, states},
    {{"resets sent", "发出的复位"}, HookUse::always, resets_sent},
    {{"resets received", "收到的复位"}, HookUse::always, resets_received},
    {{"errors put on sockets (Linux 5.14)", "套接字上的错误（Linux 5.14）"}, HookUse::always, socket_errors},
    {{"ends of sockets", "套接字的销毁"}, HookUse::always, ends_of_sockets},
    {{"packets thrown away, and why (Linux 5.17)", "被丢弃的报文及其原因（Linux 5.17）"}, HookUse::drops, drops},
    {{"signals generated", "产生的信号"}, HookUse::calls, signals_generated},
    {{"signals delivered", "送达的信号"}, HookUse::calls, signals_delivered},
    {{"forks", "fork"}, HookUse::calls, forks},
    {{"programs started", "启动的程序"}, HookUse::calls, programs_started},
    {{"ends of processes", "进程的结束"}, HookUse::calls, ends_of_processes},
    {{"io_uring operations (Linux 6.0)", "io_uring 操作（Linux 6.0）"}, HookUse::calls, operations},
    {{"io_uring operations that are refused at once", "立即被拒绝的 io_uring 操作"},
     HookUse::calls,
     refused_operations},
    {{"which of several io_uring operations sent a segment", "多个 io_uring 操作中由哪一个发出报文段"},
     HookUse::calls,
     operations_at_work},
    {{"results of io_uring operations", "io_uring 操作的结果"}, HookUse::calls, operations_completed},
    {{"results of io_uring operations that find no room", "没有空位可放的 io_uring 操作结果"},
     HookUse::calls,
     completions_that_wait},
});

}  // namespace

std::span<const Hook> hooks() { return rows; }

HookPlace find_hook(std::string_view program) {
  for (const Hook& hook : rows)
    for (std::size_t i = 0; i < hook.programs.size(); ++i)
      if (hook.programs[i].name == program) return {&hook, i};
  return {};
}

}  // namespace tcpwhy::trace
