// What `tcpwhy doctor` finds out about this machine. Every answer is tried when it is asked for, never guessed from a version.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/language.h"

namespace tcpwhy::doctor {

using base::OwnedText;

enum class Answer : std::uint8_t { yes, no, partly, fact };
std::string_view name(Answer answer);  // "yes", as JSON has it

struct Probe {
  std::string id;  // stable, for JSON: "user_namespaces"
  base::OwnedText title;
  Answer answer = Answer::fact;
  base::OwnedText found;  // what was seen when it was tried
  base::OwnedText needed_for;
  base::OwnedText more;  // how to get it; empty where nothing is missing
};

// In the order in which they are shown. Takes some tens of milliseconds. The process must be single-threaded (it forks), and
// nothing of what was tried is left behind.
std::vector<Probe> examine();

// ---- the parts of examine(), by the file that has them

void examine_kernel(std::vector<Probe>& probes);       // version, tick
void examine_namespaces(std::vector<Probe>& probes);   // user namespaces, the sandbox and what can be seen in it
void examine_host(std::vector<Probe>& probes);         // packets, sockets and counters of this host; ptrace
void examine_confinement(std::vector<Probe>& probes);  // what is read without rights
void examine_bpf(std::vector<Probe>& probes);          // BPF, BTF, the reset tracepoint

}  // namespace tcpwhy::doctor
