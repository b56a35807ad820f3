// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../Inference.sol";

/// @title OrdersInference
/// @notice A prize for whoever finds an input that a classifier puts into one class. The contract
/// orders the run from the market itself, and pays only on an answer that the chain has proven:
/// nobody, the seller of the run and the owner of this contract included, can make one up.
/// @dev `ask` orders and pays the model's price; a seller claims, proves and delivers; `settle`, by
/// anyone, reads the proven output and acts on it. The model must have one output, a vector of
/// scores, and takes open orders here: the input is public. What the market refunds comes without a
/// call: it moves the coins and runs nobody's code.
contract OrdersInference {
    IInference public constant INFERENCE = IInference(0x4841000000000000000000000000000000000003);

    /// @notice Where a question stands. `Answered` and `Returned` are final.
    enum State {
        None,
        Asked,
        Answered,
        Returned
    }

    struct Question {
        address asker;
        State state;
        uint16 class;
        uint128 price;
    }

    bytes32 public immutable model;
    // Number of scores, and bytes of each in the output's encoding (little endian, signed).
    uint16 public immutable classes;
    uint8 public immutable width;
    // The class that wins, and what it wins in wei, once.
    uint16 public immutable wanted;
    uint256 public prize;
    // By the order's id.
    mapping(uint256 => Question) public questions;

    event Asked(uint256 indexed order, address indexed asker);
    event Answered(uint256 indexed order, address indexed asker, uint16 class, uint256 won);
    event Returned(uint256 indexed order, address indexed asker, uint256 refund);

    /// @notice No question of this contract has this order, or it is settled already.
    error NothingToSettle(uint256 order);
    /// @notice The order is neither paid nor refunded yet.
    error NotFinal(uint256 order, IInference.Status status);
    /// @notice The output is not the vector that this contract was made for.
    error WrongOutput(uint256 length, uint256 expected);
    /// @notice The coins could not be sent.
    error NotSent(address to, uint256 amount);

    /// @notice The coins sent are the prize.
    constructor(bytes32 model_, uint16 classes_, uint8 width_, uint16 wanted_) payable {
        require(classes_ > 0 && wanted_ < classes_, "OrdersInference: no such class");
        require(width_ > 0 && width_ <= 4, "OrdersInference: scores have 1 to 4 bytes");
        model = model_;
        classes = classes_;
        width = width_;
        wanted = wanted_;
        prize = msg.value;
    }

    /// @notice Orders a proven run on `input`. The coins sent are the model's price.
    /// @param deadlineMs When the price comes back if nobody delivers, in Unix milliseconds.
    function ask(bytes calldata input, uint64 deadlineMs) external payable returns (uint256 order) {
        order = INFERENCE.order{value: msg.value}(
            model, uint8(IInference.Level.Proven), input, deadlineMs
        );
        questions[order] = Question(msg.sender, State.Asked, 0, uint128(msg.value));
        emit Asked(order, msg.sender);
    }

    /// @notice Acts on what became of an order: pays the prize if the proven answer is the wanted
    /// class, or hands the price back if the market refunded it.
    function settle(uint256 order) external {
        Question storage question = questions[order];
        if (question.state != State.Asked) revert NothingToSettle(order);
        IInference.Status status = INFERENCE.get(order).status;
        if (status == IInference.Status.Paid) {
            uint16 class = largest(INFERENCE.output(order));
            question.state = State.Answered;
            question.class = class;
            uint256 won = class == wanted ? prize : 0;
            prize -= won;
            emit Answered(order, question.asker, class, won);
            send(question.asker, won);
        } else if (status == IInference.Status.Refunded) {
            question.state = State.Returned;
            emit Returned(order, question.asker, question.price);
            send(question.asker, question.price);
        } else {
            revert NotFinal(order, status);
        }
    }

    /// @dev Index of the largest score, the lowest among equals.
    function largest(bytes memory output) private view returns (uint16 best) {
        uint256 expected = uint256(classes) * width;
        if (output.length != expected) revert WrongOutput(output.length, expected);
        int256 most = type(int256).min;
        for (uint16 class = 0; class < classes; class++) {
            int256 score = scoreAt(output, uint256(class) * width);
            if (score > most) (most, best) = (score, class);
        }
    }

    /// @dev `width` bytes from `offset`, little endian, two's complement.
    function scoreAt(bytes memory output, uint256 offset) private view returns (int256) {
        uint256 word = 0;
        for (uint256 i = 0; i < width; i++) {
            word |= uint256(uint8(output[offset + i])) << (8 * i);
        }
        uint256 unused = 256 - 8 * uint256(width);
        return int256(word << unused) >> unused;
    }

    function send(address to, uint256 amount) private {
        if (amount == 0) return;
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert NotSent(to, amount);
    }
}
