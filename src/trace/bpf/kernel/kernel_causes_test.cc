// Stacks of ../shared/kernel/STACKS.md's kind: what each says, and that the innermost trigger wins.
#include "trace/bpf/kernel/kernel_causes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "recording/fields.h"

namespace tcpwhy::trace {
namespace {

std::vector<std::string> split(const std::string& stack) {
  std::vector<std::string> frames;
  std::istringstream words(stack);
  for (std::string word; words >> word;)
    if (word != "<") frames.push_back(word);
  return frames;
}

std::string cause_of(const std::string& stack) {
  const auto frames =
      split("bpf_prog_1234_on_segment < __dev_queue_xmit < ip_finish_output2 < ip_output < __ip_queue_xmit < " + stack);
  const std::vector<std::string_view> views(frames.begin(), frames.end());
  const KernelCause cause = classify(views);
  return std::string(recording::name_of(cause.trigger)) + " " + std::string(cause.name);
}

std::string ring_of(const std::string& stack) {
  const auto frames = split(stack);
  const std::vector<std::string_view> views(frames.begin(), frames.end());
  return std::string(classify(views).through);
}

constexpr const char* in_client_send =
    " < ip_local_deliver < process_backlog < net_rx_action < __local_bh_enable_ip < __dev_queue_xmit < tcp_write_xmit < "
    "__tcp_push_pending_frames < tcp_sendmsg_locked < tcp_sendmsg < __sys_sendto";

// Stacks of tests/live/programs/uring_operations.c on Linux 6.18.
TEST(KernelCauses, say_where_io_uring_carried_an_operation_out) {
  const std::string send =
      "tcp_write_xmit < tcp_sendmsg_locked < tcp_sendmsg < sock_sendmsg < io_send < __io_issue_sqe < io_issue_sqe < ";
  EXPECT_EQ(ring_of(send + "io_submit_sqes < __do_sys_io_uring_enter < do_syscall_64"), "submission");
  EXPECT_EQ(ring_of(send + "io_submit_sqes < io_sq_thread < ret_from_fork"), "submission thread");
  EXPECT_EQ(ring_of(send + "io_wq_submit_work < io_worker_handle_work < io_wq_worker"), "worker");
  EXPECT_EQ(ring_of(send + "io_handle_tw_list < tctx_task_work_run < __do_sys_io_uring_enter"), "task work");
  EXPECT_EQ(ring_of("tcp_write_xmit < tcp_sendmsg_locked < tcp_sendmsg < __sys_sendto"), "");
}

TEST(KernelCauses, are_told_by_the_trigger_nearest_to_the_leaf) {
  EXPECT_EQ(cause_of("tcp_write_xmit < __tcp_push_pending_frames < tcp_sendmsg_locked < tcp_sendmsg"), "call send");
  EXPECT_EQ(cause_of(std::string("ip_send_unicast_reply < tcp_v4_send_reset < tcp_v4_rcv") + in_client_send),
            "segment segment.no_socket");
  EXPECT_EQ(
      cause_of(std::string("ip_send_unicast_reply < tcp_v4_send_reset < tcp_v4_do_rcv < tcp_v4_rcv") + in_client_send),
      "segment segment.refused");
  EXPECT_EQ(cause_of(std::string("tcp_rcv_established < tcp_v4_do_rcv < tcp_v4_rcv") + in_client_send),
            "segment segment.arrived");
}

TEST(KernelCauses, tell_the_resets_of_close_apart) {
  const std::string close = " < __tcp_close < tcp_close < inet_release < __sock_release < sock_close < __fput";
  EXPECT_EQ(cause_of("tcp_send_active_reset" + close), "call close.unread_data");
  EXPECT_EQ(cause_of("tcp_send_active_reset < tcp_disconnect" + close), "call close.linger_zero");
  EXPECT_EQ(cause_of("tcp_send_active_reset < tcp_disconnect < inet_child_forget < inet_csk_listen_stop" + close),
            "call close.listener_queue");
  EXPECT_EQ(cause_of("tcp_send_active_reset < tcp_abort < tcp_diag_destroy"), "call abort.sock_diag");
  EXPECT_EQ(cause_of("tcp_send_active_reset < tcp_disconnect < __inet_stream_connect < inet_stream_connect"),
            "call disconnect");
  EXPECT_EQ(cause_of("tcp_send_active_reset < tcp_keepalive_timer < call_timer_fn"), "timer keep_alive_gave_up");
}

TEST(KernelCauses, tell_an_exit_from_a_close) {
  const std::string fin =
      "tcp_write_xmit < __tcp_push_pending_frames < tcp_send_fin < __tcp_close < tcp_close < inet_release";
  EXPECT_EQ(cause_of(fin + " < __sock_release < sock_close < __fput < __x64_sys_close"), "call close");
  EXPECT_EQ(cause_of(fin + " < __sock_release < sock_close < __fput < task_work_run < do_exit < do_group_exit"),
            "process_end close");
}

TEST(KernelCauses, tell_the_timers_apart) {
  EXPECT_EQ(cause_of("tcp_delack_timer_handler < tcp_delack_timer < call_timer_fn"), "timer delayed_ack_timer");
  EXPECT_EQ(cause_of("__tcp_retransmit_skb < tcp_retransmit_skb < tcp_retransmit_timer < tcp_write_timer"),
            "timer retransmission_timer");
  EXPECT_EQ(cause_of("__tcp_retransmit_skb < tcp_send_loss_probe < tcp_write_timer"), "timer tail_loss_probe_timer");
  EXPECT_EQ(cause_of("tcp_send_probe0 < tcp_write_timer"), "timer zero_window_probe_timer");
  EXPECT_EQ(cause_of("tcp_write_wakeup < tcp_keepalive_timer"), "timer keep_alive_timer");
  EXPECT_EQ(cause_of("tcp_v4_send_synack < tcp_rtx_synack < reqsk_timer_handler"), "timer syn_ack_timer");
}

// tests/kernel/H10 on Linux 6.18: the segment came while the call held the socket, and its ACK waits for the call's end.
TEST(KernelCauses, tell_an_ack_of_the_backlog_from_the_call_that_sends_it_on_its_way) {
  EXPECT_EQ(cause_of("release_sock < __inet_stream_connect < inet_stream_connect < __sys_connect"),
            "segment segment.arrived");
  EXPECT_EQ(cause_of("release_sock < tcp_sendmsg < __sys_sendto"), "segment segment.arrived");
  EXPECT_EQ(cause_of("tcp_write_xmit < tcp_release_cb < release_sock < tcp_sendmsg"), "timer pacing_timer");
  EXPECT_EQ(cause_of("tcp_delack_timer_handler < tcp_release_cb < release_sock < tcp_recvmsg"),
            "timer delayed_ack_timer");
  EXPECT_EQ(cause_of("tcp_rcv_established < tcp_v4_do_rcv < __release_sock < release_sock < tcp_recvmsg"),
            "segment segment.arrived");
}

TEST(KernelCauses, say_unknown_where_no_row_fits) {
  EXPECT_EQ(cause_of("some_new_function < another"), "unknown unknown");
}

TEST(KernelCauses, of_a_close_that_resets_are_told_apart_by_the_kernels_reason_and_without_one_by_what_was_unread) {
  EXPECT_EQ(cause_of_closing_reset({.reason = "TCP_ABORT_ON_CLOSE"}), "close.unread_data");
  EXPECT_EQ(cause_of_closing_reset({.reason = "TCP_ABORT_ON_LINGER", .data_unread = true}), "close.linger2");
  EXPECT_EQ(cause_of_closing_reset({.reason = "TCP_ABORT_ON_MEMORY", .data_unread = true}), "out_of_memory");
  EXPECT_EQ(cause_of_closing_reset({.data_unread = true, .linger2_below_zero = true}), "close.unread_data");
  EXPECT_EQ(cause_of_closing_reset({.linger2_below_zero = true}), "close.linger2");
  EXPECT_EQ(cause_of_closing_reset({}), "out_of_memory");
}

TEST(KernelCauses, have_words_for_every_name_and_a_row_for_every_word_but_what_is_not_told_by_the_stack) {
  for (const KernelCauseRow& row : kernel_cause_rows())
    EXPECT_NE(std::ranges::find(kernel_cause_names(), row.name, &KernelCauseName::name), kernel_cause_names().end())
        << row.name;
  for (const KernelCauseName& name : kernel_cause_names()) {
    const bool by_reason = name.name == "close.linger2" || name.name == "unknown";
    EXPECT_TRUE(by_reason ||
                std::ranges::find(kernel_cause_rows(), name.name, &KernelCauseRow::name) != kernel_cause_rows().end())
        << name.name;
  }
}

TEST(Documentation, has_every_kernel_cause) {
  std::ifstream file(TCPWHY_SOURCE_DIR "/docs/KERNEL-CAUSES.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const KernelCauseName& name : kernel_cause_names())
    EXPECT_NE(text.find("| `" + std::string(name.name) + "` | " + std::string(name.means) + " |"), std::string::npos)
        << name.name;
}

TEST(KernelCauses, are_settled_by_the_decisive_frames_whatever_comes_further_out) {
  const auto settled = [](const std::string& stack) {
    auto frames = split(stack);
    std::vector<std::string_view> views(frames.begin(), frames.end());
    const std::size_t length = decisive_frames(views);
    for (std::size_t i = length; length != 0 && i < views.size(); ++i) views[i] = "tcp_check_req";
    const std::vector<std::string_view> whole(frames.begin(), frames.end());
    EXPECT_EQ(classify(views).name, classify(whole).name) << stack;
    EXPECT_EQ(spell_stack(views), spell_stack(whole)) << stack;
    return length;
  };
  EXPECT_EQ(settled("__tcp_transmit_skb < tcp_rcv_established < tcp_v4_do_rcv < tcp_v4_rcv < ip_local_deliver_finish < "
                    "ip_local_deliver < process_backlog"),
            5U);
  // Whether tcp_check_req() follows is looked for further out.
  EXPECT_EQ(settled(std::string("ip_send_unicast_reply < tcp_v4_send_reset < tcp_v4_rcv") + in_client_send +
                    " < do_syscall_64 < entry"),
            14U);
  EXPECT_EQ(settled("tcp_v4_send_reset < tcp_v4_rcv < ip_local_deliver"), 0U) << "too few to know";
  EXPECT_EQ(settled(std::string("tcp_write_xmit < tcp_sendmsg_locked < tcp_sendmsg") + in_client_send), 0U)
      << "who carries a call out stands further out";
  EXPECT_EQ(settled("some_function < another"), 0U);
}

// Kernels inline and rename functions: of the rows of each cause one at least must be one whose functions the running kernel has.
TEST(KernelCauses, have_a_row_for_the_functions_of_this_kernel) {
  std::ifstream file("/proc/kallsyms");  // the names are there for everybody
  std::set<std::string, std::less<>> functions;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string address, kind, name;
    words >> address >> kind >> name;
    functions.insert(name.substr(0, name.find('.')));
  }
  if (!functions.contains("tcp_sendmsg")) GTEST_SKIP() << "/proc/kallsyms does not name the kernel's functions";
  const auto has = [&](std::string_view name) { return name.empty() || functions.contains(name); };
  for (const KernelCauseName& cause : kernel_cause_names()) {
    const auto can_match = [&](const KernelCauseRow& row) {
      return row.name == cause.name && has(row.frame) && has(row.inside) && has(row.outside);
    };
    const auto is_of_it = [&](const KernelCauseRow& row) { return row.name == cause.name; };
    if (!std::ranges::any_of(kernel_cause_rows(), is_of_it)) continue;
    EXPECT_TRUE(std::ranges::any_of(kernel_cause_rows(), can_match)) << cause.name;
  }
}

}  // namespace
}  // namespace tcpwhy::trace
