// Why the kernel hands a segment to the device: told by its own call stack at that moment. A table from the names of functions to
// causes, applied from the leaf outwards: the innermost trigger wins, for on loopback and veth one stack holds the whole chain of
// both ends (the server's reset innermost, the client's send() that provoked it further out).
//
// docs/KERNEL-CAUSES.md is held against the table. Functions that the compiler inlined don't appear, and other kernels have other
// names: a row is found by one frame, refined by what was seen inside it and what follows outside.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recording/event.h"

namespace tcpwhy::trace {

struct KernelCauseRow {
  std::string_view frame;    // the trigger: the first frame from the leaf that any row names
  std::string_view inside;   // must have been seen before it (nearer to the leaf); "": whatever
  std::string_view outside;  // must follow within the next frames; "": whatever
  recording::Trigger trigger;
  std::string_view name;  // "close.unread_data"; stable: in recordings, tests and documentation
};
// Of the rows of one frame the first that fits decides.
std::span<const KernelCauseRow> kernel_cause_rows();

struct KernelCauseName {
  std::string_view name;
  std::string_view means;  // in words
};
std::span<const KernelCauseName> kernel_cause_names();

struct KernelCause {
  recording::Trigger trigger;
  std::string_view name;  // "unknown" where nothing matches
  // Trigger::call: how io_uring came to it ("submission", "task work", "worker", "submission thread"); "" for a system call.
  std::string_view through = {};
};

// `frames`: names, leaf first; "" for one without a name.
KernelCause classify(std::span<const std::string_view> frames);

// close() resets for three reasons by one stack, `close.unread_data`: what tells them apart.
struct ClosingReset {
  std::string_view reason{};  // the kernel's; "" before Linux 6.10
  bool data_unread = false;
  bool linger2_below_zero = false;
};
std::string_view cause_of_closing_reset(const ClosingReset& reset);

// How many frames from the leaf outwards settle what classify() and spell_stack() say, whatever comes further out; 0: all may
// matter (the program's calls), or there are too few.
std::size_t decisive_frames(std::span<const std::string_view> frames);

// The frames that matter, leaf first, " < " between: without what stands before every segment (__dev_queue_xmit, ip_output, ...) and
// without what follows the trigger and its context.
std::string spell_stack(std::span<const std::string_view> frames);

}  // namespace tcpwhy::trace
