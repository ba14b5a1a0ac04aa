// Loads the programs of a BPF object one by one. libbpf loads all that an object has or, where the kernel refuses one, none; here what
// the kernel refuses costs that program alone, and its word on why is kept.
//
// How: libbpf makes the maps and fits each program to the running kernel. When it is about to load one, it asks here (a handler of the
// programs' sections, libbpf_register_prog_handler(3)); the program is loaded from here, and libbpf given an empty one in its place.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::trace {

struct LoadedProgram {
  base::UniqueFd fd;  // not valid: it was refused
  int error = 0;      // errno of the refusal
  std::string words;  // the verifier's last lines about it
};

using LoadedPrograms = std::map<std::string, LoadedProgram, std::less<>>;  // by name

// An object that is opened and loaded in the life of one of these is loaded so. One at a time, and no object with such sections without one.
class ProgramLoader {
 public:
  // The object's programs are all at tracepoints: sections "tp_btf/NAME". `is_wanted` is asked of each, in the order in which they stand
  // in their sources; outcome() then says how those before it fared. `is_spoilt`: of each that is wanted; true: it is made into
  // something that every kernel refuses.
  using Question = std::function<bool(std::string_view program)>;
  ProgramLoader(Question is_wanted, Question is_spoilt);
  ProgramLoader(const ProgramLoader&) = delete;
  ProgramLoader& operator=(const ProgramLoader&) = delete;
  ~ProgramLoader();

  [[nodiscard]] const LoadedPrograms& outcome() const { return outcome_; }
  [[nodiscard]] LoadedPrograms take() { return std::move(outcome_); }

 private:
  struct Handler;  // what libbpf calls
  Question is_wanted_, is_spoilt_;
  LoadedPrograms outcome_;
  static inline ProgramLoader* living_ = nullptr;
};

// Attaches a loaded program to the tracepoint that it was loaded for; it hangs there as long as the descriptor is open. Or the errno of
// the refusal.
std::expected<base::UniqueFd, int> attach_program(int program);

// How many arguments the kernel's tracepoint hands over; -1: it has no such tracepoint, or tells nothing of its types.
int tracepoint_arguments(std::string_view name);

}  // namespace tcpwhy::trace
