// Loads the programs of a BPF object one by one. libbpf loads all that an object has or, where the kernel refuses one, none; here what
// the kernel refuses costs that program alone, and its word on why is kept.
//
// How: libbpf makes the maps and fits each program to the running kernel. When it is about to load one, it asks here (a handler of the
// programs' sections, libbpf_register_prog_handler(3)); the program is put aside, and libbpf given an empty one in its place. With the
// last of them all are loaded, side by side: the kernel's verifier takes most of the time until a trace begins.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  // The object's programs are all at tracepoints: sections "tp_btf/NAME". `is_due` is asked of each that has not been tried yet, again
  // whenever some have been: outcome() then says how those fared. Those that are due at one time are loaded at once; those that never are,
  // not at all. `is_spoilt`: of each that is loaded; true: it is made into something that every kernel refuses.
  using Question = std::function<bool(std::string_view program)>;
  ProgramLoader(Question is_due, Question is_spoilt);
  ProgramLoader(const ProgramLoader&) = delete;
  ProgramLoader& operator=(const ProgramLoader&) = delete;
  ~ProgramLoader();

  // Of how many of the object's programs libbpf is asked to load them; before it does.
  void expect(std::size_t programs) { expected_ = programs; }
  [[nodiscard]] const LoadedPrograms& outcome() const { return outcome_; }
  [[nodiscard]] LoadedPrograms take() { return std::move(outcome_); }

 private:
  struct Handler;   // what libbpf calls
  struct Prepared;  // a program, fitted to the kernel
  void load_all();
  void load_at_once(std::span<const Prepared> programs);

  Question is_due_, is_spoilt_;
  std::size_t expected_ = 0;
  std::vector<Prepared> prepared_;  // not tried yet
  LoadedPrograms outcome_;
  static inline ProgramLoader* living_ = nullptr;
};

// Attaches a loaded program to the tracepoint that it was loaded for; it hangs there as long as the descriptor is open. Or the errno of
// the refusal.
std::expected<base::UniqueFd, int> attach_program(int program);

// How many arguments the kernel's tracepoint hands over; -1: it has no such tracepoint, or tells nothing of its types.
int tracepoint_arguments(std::string_view name);

}  // namespace tcpwhy::trace
