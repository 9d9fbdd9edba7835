// SPDX-License-Identifier: Apache-2.0

// worker packs the orders of the demo shop. Every fifth order has no customer, which the code does not handle: it panics, and Go exits with
// code 2.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const ordersUntilPanic = 5

type customer struct{ street string }

type order struct{ customer *customer }

func main() {
	seconds, err := strconv.ParseFloat(os.Getenv("SHOP_PACE_SECONDS"), 64)
	if err != nil {
		seconds = 20
	}
	for number := 1; ; number++ {
		time.Sleep(time.Duration(seconds * float64(time.Second) / ordersUntilPanic))
		next := order{customer: &customer{street: "Main Street"}}
		if number%ordersUntilPanic == 0 {
			next.customer = nil
		}
		fmt.Printf("worker: order %d goes to %s\n", number, next.customer.street)
	}
}
