// A question asked in a child process, which may spoil itself (give up privileges, enter namespaces) and is gone afterwards.
#pragma once

#include <functional>
#include <string>

namespace tcpwhy::doctor {

// What `question` returned, at most 4 KiB of it; empty if the child died or took longer than 5 s.
std::string ask_in_child(const std::function<std::string()>& question);

}  // namespace tcpwhy::doctor
