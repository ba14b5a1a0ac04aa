// What the probe hangs on, as a table: a row for each thing that is to be known, and in it the programs of trace/bpf/program that can
// tell it, the best first. Kernels differ in what their tracepoints are called and hand over; what none of a row's programs fits is not
// known there, and the other rows are.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/language.h"

namespace tcpwhy::trace {

struct HookProgram {
  std::string_view name;  // of the program
  std::string_view tracepoint;
  int least_arguments = 1, most_arguments = 12;  // that the tracepoint hands over, for this program to fit
  base::Text lacks;                              // what it does not tell, and the programs before it do; empty: nothing
  std::string_view beside;                       // it fits only kernels that have this tracepoint too; "": any
};

// Who asks for it.
enum class HookUse : std::uint8_t { always, calls, segments, drops };

struct Hook {
  base::Text tells;
  HookUse use;
  std::span<const HookProgram> programs;
};

std::span<const Hook> hooks();

// The row of a program, and which of it; null, 0: none has it.
struct HookPlace {
  const Hook* hook = nullptr;
  std::size_t program = 0;
};
HookPlace find_hook(std::string_view program);

}  // namespace tcpwhy::trace
