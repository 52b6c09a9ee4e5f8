// SPDX-License-Identifier: MIT
#include <iostream>

#include <peal/peal.hpp>

// quick.c in C++17: one program, both roles.
static int guest(peal::channel channel)
{
	auto request = channel.rx().next(peal::forever);

	return !request || channel.tx().send(request->bytes(), 0, peal::forever);
}

int main(int argc, char **argv)
{
	peal::channel_options options;

	if (auto host = peal::channel::attach(argc, argv)) // the plugin
		return guest(std::move(*host));
	options.to_guest = options.to_host = 4096;
	auto channel = peal::channel::create(options);
	if (!channel)
		return std::cerr << peal::last_error() << "\n", 1;
	auto child = channel->spawn({argv[0]});
	if (!child)
		return std::cerr << peal::last_error() << "\n", 1;
	if (channel->tx().send(peal::bytes_of("hello, ring"), 0, peal::forever))
		return std::cerr << peal::last_error() << "\n", 1;
	for (peal::record answer : channel->rx().take(peal::forever))
		std::cout << "the plugin says: " << answer.text() << "\n";
}
