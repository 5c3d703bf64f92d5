// armnn_peer.cpp - run .tflite files in Armnn's reference backend.
// Usage: armnn_peer MODEL INPUT OUTPUT
// INPUT holds samples one behind the other, as the model sees them.
#include <armnn/ArmNN.hpp>
#include <armnnTfLiteParser/ITfLiteParser.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

static int run(char **v)
{
	auto parser = armnnTfLiteParser::ITfLiteParser::Create();
	auto net = parser->CreateNetworkFromBinaryFile(v[1]);
	auto rt = armnn::IRuntime::Create(armnn::IRuntime::CreationOptions());
	auto best = armnn::Optimize(*net, { armnn::BackendId("CpuRef") }, rt->GetDeviceSpec());
	armnn::NetworkId id;
	rt->LoadNetwork(id, std::move(best));
	auto in = parser->GetNetworkInputBindingInfo(0, parser->GetSubgraphInputTensorNames(0)[0]);
	auto out = parser->GetNetworkOutputBindingInfo(0, parser->GetSubgraphOutputTensorNames(0)[0]);
	std::ifstream f(v[2], std::ios::binary);
	std::vector<char> x((std::istreambuf_iterator<char>(f)), std::istreambuf_iterator<char>());
	std::vector<char> y(out.second.GetNumBytes());
	std::ofstream to(v[3], std::ios::binary);
	const size_t step = in.second.GetNumBytes();
	for (size_t at = 0; at + step <= x.size(); at += step) {
		armnn::InputTensors ins{ { in.first, armnn::ConstTensor(in.second, x.data() + at) } };
		armnn::OutputTensors outs{ { out.first, armnn::Tensor(out.second, y.data()) } };
		if (rt->EnqueueWorkload(id, ins, outs) != armnn::Status::Success)
			return 1;
		to.write(y.data(), (std::streamsize)y.size());
	}
	return to.good() ? 0 : 1;
}

int main(int argc, char **argv)
{
	try {
		return argc == 4 ? run(argv) : 2;
	} catch (const std::exception &e) {
		std::fprintf(stderr, "armnn: %s: %s\n", argv[1], e.what());
		return 1;
	}
}
