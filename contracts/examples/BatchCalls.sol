// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title BatchCalls
/// @notice Code for an ordinary account to borrow by an EIP-7702 delegation: several calls in one
/// transaction, all or none. It obeys nobody but the account itself.
contract BatchCalls {
    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    /// @notice All calls of a batch were made.
    event Executed(uint256 calls);

    /// @notice Only the account that borrows this code may use it.
    error NotSelf(address caller);

    function execute(Call[] calldata calls) external payable {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        for (uint256 i = 0; i < calls.length; i++) {
            (bool done, bytes memory answer) =
                calls[i].to.call{value: calls[i].value}(calls[i].data);
            if (!done) {
                // The whole batch fails with the reason of the call that failed.
                assembly {
                    revert(add(answer, 32), mload(answer))
                }
            }
        }
        emit Executed(calls.length);
    }

    receive() external payable {}
}
