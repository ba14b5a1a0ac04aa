// An experiment in the words of tests/kernel/measured/scenarios.tsv: lists of strings that can be held against each
// other. Test code.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "recording/recording.h"

namespace tcpwhy::cli::kernel_experiments {

using Lines = std::vector<std::string>;

// After the name of a call that was still in progress when the experiment ended.
inline constexpr std::string_view never_back_words = " = never";

// One list for each aspect. Ends are numbered in the order in which they appear among the packets, and have no names
// elsewhere.
struct Account {
  // "connect = -1 ECONNREFUSED", "recv = 5 'hello'", "send = -1 EPIPE+SIGPIPE", in order of entry.
  Lines calls;
  // "1>2[P.]1:6(5) a2": relative numbers, and sack1:2, win0, urg1, tfo=req, md5 after them.
  Lines packets;
  bool packets_go_on = false;  // there were more than the list has
  // "CLOSE>SYN_SENT>ESTABLISHED", of each socket; sorted. A last CLOSE is left out: whether it was reached hangs on when the
  // observer stopped.
  Lines states;
  bool states_go_on = false;
  Lines resets;  // "TCP_STATE(active)" of each one sent, "received" of each one taken in; sorted
  Lines drops;   // "[P.] TCP_FLAGS" of each; sorted. Without what the kernel calls a drop and is none
  Lines errors;  // "EPIPE", of each put on a socket; sorted
  // "SIGPIPE" of each one that the kernel made; of no other signal. The laboratory's recordings have those that a handler saw or that killed; one that
  // was ignored or stays blocked shows to nobody but the kernel.
  Lines signals;
  Lines counters;  // "TcpExt.TCPAbortOnData +1"; sorted. Only those that the table speaks of anywhere
};

// scenarios.tsv: the columns of a row by their names.
using Row = std::map<std::string, std::string, std::less<>>;
std::map<std::string, Row> read_table();  // by id

Account measured(const Row& row);

// Packets: those that the interface of this number saw.
Account recorded(const recording::Recording& recording, std::uint32_t tap);

// "recv" for recvfrom: strace's name and the C library's are one.
std::string plain_call_name(const std::string& name);
bool is_noise(std::string_view drop_reason);

// Whether the row's three runs agreed in this aspect.
bool reproducible(const Row& row, std::string_view aspect);

Lines split(const std::string& text, const std::string& separator);

}  // namespace tcpwhy::cli::kernel_experiments
