// What a tracker counts of each end of a connection (tcp::EndCounters), for those who tell it: one row a counter, which names it in
// JSON, in the tables of connections, and in words.
#pragma once

#include <string_view>

#include "explain/texts/wire_words.h"
#include "tcp/tracker.h"

namespace tcpwhy::explain {

struct WireCounter {
  std::uint32_t tcp::EndCounters::* member;
  std::string_view id;  // in JSON
  std::string_view
      field;  // of the tables (scan/tables/fields.h), the sum of both ends; empty: none, or told there by itself
  Text what;  // that field, where its name does not say it
  std::string_view (*words)(Language language);
};

inline constexpr WireCounter wire_counters[] = {
    {&tcp::EndCounters::retransmissions,
     "retransmissions",
     "",
     {},
     [](Language l) { return words(tcp::Kind::retransmission, l); }},
    {&tcp::EndCounters::timeouts,
     "timeouts",
     "timeouts",
     {"retransmissions by timer", "由定时器引起的重传"},
     [](Language l) { return words(tcp::RetransmissionReason::timeout, l); }},
    {&tcp::EndCounters::fast_retransmissions,
     "fast_retransmissions",
     "fast",
     {"fast retransmissions and SACK holes", "快速重传和 SACK 空洞"},
     [](Language l) { return words(tcp::RetransmissionReason::fast, l); }},
    {&tcp::EndCounters::tail_loss_probes,
     "tail_loss_probes",
     "probes",
     {"tail-loss probes", "尾丢失探测"},
     [](Language l) { return words(tcp::RetransmissionReason::tail_loss_probe, l); }},
    {&tcp::EndCounters::needless,
     "needless",
     "needless",
     {"retransmissions proven needless", "已证明不必要的重传"},
     [](Language l) { return words_of_mark(tcp::mark::needless, l); }},
    {&tcp::EndCounters::fins_again,
     "fins_again",
     "",
     {},
     [](Language l) { return Text{"acknowledged FINs again", "已确认的 FIN 重传"}.in(l); }},
    {&tcp::EndCounters::duplicates,
     "duplicates",
     "duplicates",
     {"copies made by the network or the capture", "网络或抓包产生的副本"},
     [](Language l) { return words(tcp::Kind::duplicate, l); }},
    {&tcp::EndCounters::offload_copies,
     "offload_copies",
     "offload.copies",
     {"copies from the other side of segmentation or receive offload", "来自分段卸载或接收卸载另一侧的副本"},
     [](Language l) { return Text{"offload copies", "卸载副本"}.in(l); }},
    {&tcp::EndCounters::behind_ack,
     "behind_ack",
     "behind.ack",
     {"segments captured behind their acknowledgment", "在其确认之后才被抓到的报文段"},
     [](Language l) { return words_of_mark(tcp::mark::behind_ack, l); }},
    {&tcp::EndCounters::reordered,
     "reordered",
     "reordered",
     {},
     [](Language l) { return words(tcp::Kind::reordered, l); }},
    {&tcp::EndCounters::duplicate_acks_sent,
     "duplicate_acks",
     "duplicate.acks",
     {},
     [](Language l) { return words(tcp::Kind::duplicate_ack, l); }},
    {&tcp::EndCounters::zero_windows,
     "zero_windows",
     "zero.windows",
     {"segments that offer a window of 0", "通告窗口为 0 的报文段"},
     [](Language l) { return words_of_mark(tcp::mark::zero_window, l); }},
    {&tcp::EndCounters::window_full,
     "window_full",
     "window.full",
     {"segments that fill the window offered", "填满对端窗口的报文段"},
     [](Language l) { return words_of_mark(tcp::mark::window_full, l); }},
    {&tcp::EndCounters::window_updates,
     "window_updates",
     "window.updates",
     {"segments that tell another window, and no more", "只通告新窗口的报文段"},
     [](Language l) { return words(tcp::Kind::window_update, l); }},
    {&tcp::EndCounters::window_probes,
     "window_probes",
     "window.probes",
     {},
     [](Language l) { return words(tcp::Kind::window_probe, l); }},
    {&tcp::EndCounters::keep_alives,
     "keep_alives",
     "keep.alives",
     {},
     [](Language l) { return words(tcp::Kind::keep_alive, l); }},
    {&tcp::EndCounters::illegal,
     "illegal",
     "illegal",
     {"segments that move nothing (RFC 9293 3.10.7, RFC 5961)", "不起作用的报文段（RFC 9293 3.10.7、RFC 5961）"},
     [](Language l) { return words(tcp::Kind::illegal, l); }},
    {&tcp::EndCounters::resets, "resets", "", {}, [](Language l) { return words(tcp::Kind::reset, l); }},
};

}  // namespace tcpwhy::explain
