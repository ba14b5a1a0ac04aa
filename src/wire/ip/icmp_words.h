// Every text that words_for() (wire/ip/icmp_error.h) can give, each once.
#pragma once

#include <string_view>
#include <vector>

namespace tcpwhy::wire {

std::vector<std::string_view> icmp_error_words();

}  // namespace tcpwhy::wire
